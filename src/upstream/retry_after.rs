//! When an upstream says that it may be asked again.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{HeaderName, RETRY_AFTER};

/// OpenAI's own, in milliseconds; its SDKs look at it first.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// The wait that an answer asks for: `retry-after-ms`, or `Retry-After` in
/// seconds or as a date (RFC 9110, section 10.2.3). None: it asks for none that
/// can be read. A date that is over asks for no time at all.
pub fn retry_after(fields: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: HeaderName| fields.get(name)?.to_str().ok().map(str::trim);
    let millis = text(RETRY_AFTER_MS).and_then(|value| seconds(value, 1e3));
    millis.or_else(|| {
        let value = text(RETRY_AFTER)?;
        seconds(value, 1.0).or_else(|| {
            let date = httpdate::parse_http_date(value).ok()?;
            Some(date.duration_since(now).unwrap_or_default())
        })
    })
}

/// Whole numbers, and those with a fraction that some send.
fn seconds(value: &str, parts: f64) -> Option<Duration> {
    let is_number = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    if !value.bytes().all(is_number) {
        return None;
    }
    Duration::try_from_secs_f64(value.parse::<f64>().ok()? / parts).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(fields: &[(&HeaderName, &str)]) -> Option<Duration> {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        retry_after(&map, now)
    }

    #[test]
    fn seconds_dates_and_milliseconds_are_read() {
        let seconds = |count| Some(Duration::from_secs(count));
        assert_eq!(read(&[(&RETRY_AFTER, "7")]), seconds(7));
        assert_eq!(read(&[(&RETRY_AFTER, " 0 ")]), seconds(0));
        assert_eq!(
            read(&[(&RETRY_AFTER, "1.5")]),
            Some(Duration::from_millis(1500))
        );
        for date in [
            "Sun, 06 Nov 1994 08:49:40 GMT",
            "Sunday, 06-Nov-94 08:49:40 GMT",
            "Sun Nov  6 08:49:40 1994",
        ] {
            assert_eq!(read(&[(&RETRY_AFTER, date)]), seconds(3), "{date}");
        }
        let over = "Sun, 06 Nov 1994 08:49:30 GMT";
        assert_eq!(read(&[(&RETRY_AFTER, over)]), seconds(0));
        let both = [(&RETRY_AFTER, "7"), (&RETRY_AFTER_MS, "250")];
        assert_eq!(read(&both), Some(Duration::from_millis(250)));
    }

    #[test]
    fn what_is_neither_is_none() {
        for value in ["", "soon", "-1", "1e9", "NaN", "inf", ".", "1,5"] {
            assert_eq!(read(&[(&RETRY_AFTER, value)]), None, "{value}");
        }
        assert_eq!(read(&[]), None);
        let both = [(&RETRY_AFTER, "7"), (&RETRY_AFTER_MS, "x")];
        assert_eq!(read(&both), Some(Duration::from_secs(7)));
        assert_eq!(read(&[(&RETRY_AFTER, &"9".repeat(400))]), None);
    }
}
