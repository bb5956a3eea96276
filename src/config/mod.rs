//! placeholder until the branch lands
pub mod checked;
