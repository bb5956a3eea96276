//! An upstream that speaks HTTP/2, with a function of the test's own as answer.

mod serve;

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server};
use http::{HeaderMap, Response, request};
use tokio::sync::{Notify, oneshot};

use super::certs::Authority;

/// How it presents itself.
#[derive(Debug, Clone)]
pub struct Settings {
    /// TLS with ALPN `h2`; without, prior knowledge.
    pub tls: bool,
    /// SETTINGS_MAX_CONCURRENT_STREAMS.
    pub max_streams: u32,
    /// What it takes of a request's body before it has read it.
    pub window: u32,
}

/// A listening upstream, closed when dropped.
pub struct Http2Upstream {
    address: SocketAddr,
    tls: bool,
    authority: Authority,
    record: Arc<Mutex<Record>>,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
}

/// What it has seen.
#[derive(Debug, Default, Clone)]
pub struct Record {
    /// Connections accepted.
    pub connections: usize,
    /// Connections open.
    pub open: usize,
    /// Requests, each with the number of its connection, from 1.
    pub requests: Vec<(usize, Arc<request::Parts>)>,
    /// RST_STREAM frames received by streams whose answer waited for one.
    pub resets: Vec<Reason>,
    /// Bytes of answers that flow control has let through.
    pub sent: u64,
}

/// One request, to be answered.
pub struct Exchange {
    /// The number of its connection, from 1.
    pub connection: usize,
    /// Its pseudo-fields and fields.
    pub head: Arc<request::Parts>,
    /// Its body.
    pub body: RecvStream,
    answer: server::SendResponse<Bytes>,
    record: Arc<Mutex<Record>>,
    going_away: Arc<Notify>,
}

type Answering = Pin<Box<dyn Future<Output = Result<(), h2::Error>>>>;
type Script = Arc<dyn Fn(Exchange) -> Answering + Send + Sync>;

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            tls: true,
            max_streams: 100,
            window: 1 << 20,
        }
    }
}

impl Http2Upstream {
    /// Runs `script` for each request, each in a task of its own.
    pub fn start<F>(
        settings: Settings,
        script: impl Fn(Exchange) -> F + Send + Sync + 'static,
    ) -> Http2Upstream
    where
        F: Future<Output = Result<(), h2::Error>> + 'static,
    {
        let authority = Authority::new();
        let listener =
            std::net::TcpListener::bind("127.0.0.1:0").expect("the loopback interface has ports");
        let address = listener.local_addr().expect("a bound socket has a name");
        let tls = settings.tls;
        let acceptor = tls.then(|| serve::acceptor(&authority));
        let record = Arc::<Mutex<Record>>::default();
        let shared = Arc::clone(&record);
        let script: Script = Arc::new(move |exchange| Box::pin(script(exchange)));
        let (stop, stopped) = oneshot::channel();
        let running = thread::spawn(move || {
            serve::run(listener, acceptor, &settings, &script, &shared, stopped);
        });
        Http2Upstream {
            address,
            tls,
            authority,
            record,
            stop: Some(stop),
            running: Some(running),
        }
    }

    /// `https://localhost:PORT/v1`, or `http://`.
    pub fn base_url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://localhost:{}/v1", self.address.port())
    }

    /// The certification authority of its certificate, if it speaks TLS.
    pub fn ca_file(&self) -> Option<PathBuf> {
        self.tls.then(|| self.authority.ca_file())
    }

    /// What it has seen so far.
    pub fn record(&self) -> Record {
        held(&self.record).clone()
    }
}

impl Exchange {
    /// Sends the answer's head; the body follows.
    pub fn start(
        &mut self,
        status: u16,
        fields: HeaderMap,
    ) -> Result<SendStream<Bytes>, h2::Error> {
        let mut head = Response::new(());
        *head.status_mut() = status.try_into().expect("a valid status");
        *head.headers_mut() = fields;
        self.answer.send_response(head, false)
    }

    /// Sends a whole answer.
    pub fn answer(
        &mut self,
        content_type: &'static str,
        body: &'static str,
    ) -> Result<(), h2::Error> {
        let mut fields = HeaderMap::new();
        fields.insert("content-type", content_type.parse().expect("a field value"));
        let mut stream = self.start(200, fields)?;
        stream.send_data(Bytes::from_static(body.as_bytes()), true)
    }

    /// Reads the body to its end; gives its length.
    pub async fn count_body(&mut self) -> Result<u64, h2::Error> {
        let mut length = 0;
        while let Some(data) = self.body.data().await {
            let data = data?;
            self.body.flow_control().release_capacity(data.len())?;
            length += data.len() as u64;
        }
        Ok(length)
    }

    /// Sends `data` as flow control allows.
    pub async fn send(
        &self,
        stream: &mut SendStream<Bytes>,
        mut data: Bytes,
    ) -> Result<(), h2::Error> {
        while !data.is_empty() {
            stream.reserve_capacity(data.len());
            let capacity = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
            let allowed = match capacity {
                Some(capacity) => capacity?.min(data.len()),
                None => return Err(Reason::CANCEL.into()),
            };
            stream.send_data(data.split_to(allowed), false)?;
            held(&self.record).sent += allowed as u64;
        }
        Ok(())
    }

    /// Waits until the peer resets the stream, and records why.
    pub async fn wait_reset(&self, stream: &mut SendStream<Bytes>) -> Result<(), h2::Error> {
        let reason = std::future::poll_fn(|cx| stream.poll_reset(cx)).await?;
        held(&self.record).resets.push(reason);
        Ok(())
    }

    /// The same before an answer was begun.
    pub async fn wait_reset_before_answer(&mut self) -> Result<(), h2::Error> {
        let reason = std::future::poll_fn(|cx| self.answer.poll_reset(cx)).await?;
        held(&self.record).resets.push(reason);
        Ok(())
    }

    /// Sends RST_STREAM.
    pub fn reset(&mut self, reason: Reason) {
        self.answer.send_reset(reason);
    }

    /// Lets the connection say GOAWAY; streams that run may finish.
    pub fn go_away(&self) {
        self.going_away.notify_one();
    }
}

impl Drop for Http2Upstream {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(running) = self.running.take() {
            let ended = running.join();
            assert!(
                ended.is_ok() || thread::panicking(),
                "the upstream panicked"
            );
        }
    }
}

fn held(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record
        .lock()
        .expect("nobody panics while holding the record")
}
