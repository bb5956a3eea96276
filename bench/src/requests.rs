//! A client of JSON answers: some keep-alive connections, on each of them one
//! request after another.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep;

use crate::messages::{JSON_ANSWER, direct_request, request};
use crate::recorded::{Times, say};
use crate::tls;
use crate::wire::Connection;

/// What to ask for, how often, for how long.
pub(crate) struct Plan {
    pub(crate) to: SocketAddr,
    /// The CA's certificate; then it speaks TLS, to the upstream itself.
    pub(crate) ca: Option<PathBuf>,
    pub(crate) connections: usize,
    /// Not measured: connections and pools fill.
    pub(crate) warmup: Duration,
    pub(crate) measured: Duration,
}

/// Says `start` and `end` around the measured time; at `end`, how many
/// requests were answered in it and the percentiles of their durations.
pub(crate) async fn measure(plan: Plan) -> io::Result<()> {
    let answered = Rc::new(RefCell::new(Times::default()));
    let local = LocalSet::new();
    local
        .run_until(async {
            let mut clients = JoinSet::new();
            for _ in 0..plan.connections {
                let answered = Rc::clone(&answered);
                let (to, ca) = (plan.to, plan.ca.clone());
                clients.spawn_local(async move {
                    let tcp = TcpStream::connect(to).await?;
                    tcp.set_nodelay(true)?;
                    match ca {
                        None => ask(tcp, &request(&to.to_string(), None), &answered).await,
                        Some(ca) => {
                            let name = ServerName::try_from(tls::NAME).map_err(io::Error::other)?;
                            let tls = tls::connector(&ca)?.connect(name, tcp).await?;
                            ask(tls, &direct_request(tls::NAME), &answered).await
                        }
                    }
                });
            }
            tokio::select! {
                Some(failed) = clients.join_next() => failed.map_err(io::Error::other)?,
                done = phases(&plan, &answered) => done,
            }
        })
        .await
}

/// Asks without end; returns only with an error.
async fn ask<S>(io: S, request: &[u8], answered: &RefCell<Times>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut connection = Connection::new(io);
    let mut body = Vec::with_capacity(JSON_ANSWER.len());
    loop {
        let asked = Instant::now();
        connection.send(request).await?;
        let head = connection
            .head()
            .await?
            .ok_or_else(|| io::Error::other("closed before an answer"))?;
        head.must_be_ok()?;
        body.clear();
        connection
            .body(head.framing()?, |bytes| {
                body.extend_from_slice(bytes);
                Ok(())
            })
            .await?;
        if body != JSON_ANSWER.as_bytes() {
            return Err(io::Error::other("an answer with a wrong body"));
        }
        answered
            .borrow_mut()
            .add(asked.elapsed().as_micros() as u64);
    }
}

async fn phases(plan: &Plan, answered: &RefCell<Times>) -> io::Result<()> {
    sleep(plan.warmup).await;
    answered.take();
    say("start", &[])?;
    let start = Instant::now();
    sleep(plan.measured).await;
    let mut times = answered.take();
    let requests = times.count();
    let elapsed = start.elapsed().as_micros() as u64;
    let (p50, p99) = times.percentiles();
    say(
        "end",
        &[
            ("requests", requests),
            ("elapsed_us", elapsed),
            ("p50_us", p50),
            ("p99_us", p99),
        ],
    )
}
