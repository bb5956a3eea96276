//! One TCP connection to a name with several addresses (RFC 8305).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Head start of one address before the next is tried beside it
/// (RFC 8305, section 5: recommended value).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to the first address that answers; the families take turns,
/// beginning with the one the resolver put first.
///
/// # Errors
/// The last address that failed, with its error.
pub(super) async fn connect(
    addresses: Vec<SocketAddr>,
) -> Result<(TcpStream, SocketAddr), (io::Error, Option<SocketAddr>)> {
    let mut waiting = interleave(addresses).into_iter();
    let mut attempts = JoinSet::new();
    let mut failed = (io::Error::from(io::ErrorKind::AddrNotAvailable), None);
    loop {
        let next = waiting.next();
        let more = next.is_some();
        if let Some(address) = next {
            attempts.spawn(async move { (TcpStream::connect(address).await, address) });
        }
        // With more addresses left, an attempt has its head start and then the
        // next joins it; a failure lets the next one begin at once.
        let outcome = if more && waiting.len() > 0 {
            match timeout(ATTEMPT_DELAY, attempts.join_next()).await {
                Ok(outcome) => outcome,
                Err(_elapsed) => continue,
            }
        } else {
            attempts.join_next().await
        };
        match outcome {
            Some(Ok((Ok(stream), address))) => return Ok((stream, address)),
            Some(Ok((Err(error), address))) => failed = (error, Some(address)),
            Some(Err(lost)) => failed = (io::Error::other(lost), None),
            None => return Err(failed),
        }
    }
}

/// RFC 8305, section 4: alternate between the families.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut one, mut other): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let mut mixed = Vec::with_capacity(one.len() + other.len());
    let (mut one, mut other) = (one.drain(..), other.drain(..));
    loop {
        match (one.next(), other.next()) {
            (None, None) => return mixed,
            (first, second) => mixed.extend(first.into_iter().chain(second)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("a literal address")
    }

    #[test]
    fn families_take_turns_and_none_is_lost() {
        let v4 = ["192.0.2.1:1", "192.0.2.2:1"].map(address);
        let v6 = ["[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::3]:1"].map(address);
        let mixed = interleave(v6.iter().chain(&v4).copied().collect());
        assert_eq!(mixed, [v6[0], v4[0], v6[1], v4[1], v6[2]]);
    }

    #[test]
    fn a_refused_address_lets_the_next_one_answer() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let refused = std::net::TcpListener::bind("127.0.0.1:0")
                .expect("a port")
                .local_addr()
                .expect("bound");
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
                .await
                .expect("a port");
            let good = listener.local_addr().expect("bound");
            let (_, reached) = connect(vec![refused, good])
                .await
                .expect("the second address listens");
            assert_eq!(reached, good);
            let (error, at) = connect(vec![refused]).await.expect_err("nobody listens");
            assert_eq!(
                (error.kind(), at),
                (io::ErrorKind::ConnectionRefused, Some(refused))
            );
        });
    }
}
