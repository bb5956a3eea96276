//! upstreamd: the last hop between programs that speak the OpenAI API and the
//! upstream that serves it.

pub mod config {
    //! What the operator wrote, and what the daemon runs on.
    pub mod checked;
}
pub mod telemetry;
