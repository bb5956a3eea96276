//! The target: what the client asked for, and where that is at the upstream.

use http::uri::PathAndQuery;
use http::{Method, Uri};

use super::fault::{Fault, FaultKind};

/// Endpoints whose JSON body names the model (OpenAI's API reference, and
/// Anthropic's `/messages`).
const MODEL_ENDPOINTS: [&str; 10] = [
    "/chat/completions",
    "/completions",
    "/responses",
    "/embeddings",
    "/messages",
    "/moderations",
    "/audio/speech",
    "/images/generations",
    "/rerank",
    "/score",
];

/// Endpoints whose streams tell what was used only if they are asked to, by
/// `stream_options.include_usage` (OpenAI's API reference).
const ASKED_ENDPOINTS: [&str; 2] = ["/chat/completions", "/completions"];

/// Endpoints whose JSON body names the model too, and which only count: what
/// they answer was not used.
const COUNTING_ENDPOINTS: [&str; 2] = ["/messages/count_tokens", "/responses/input_tokens"];

/// Endpoints that name it in a form, which is not looked at.
const MULTIPART_ENDPOINTS: [&str; 4] = [
    "/audio/transcriptions",
    "/audio/translations",
    "/images/edits",
    "/images/variations",
];

/// What a request asks for: the client's own path and query, not one byte of
/// them re-encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The path below the API's root, `/chat/completions`; picks the endpoint.
    pub(super) endpoint: String,
    /// With its question mark, or empty.
    query: String,
}

impl Target {
    /// Reads the client's target. `/v1/x` and `/x` are the same, so clients
    /// configured with and without `/v1` both work.
    ///
    /// # Errors
    /// A target that is no path (`CONNECT`, `OPTIONS *`), or whose path could
    /// leave the base path.
    pub(super) fn new(method: &Method, uri: &Uri) -> Result<Self, Fault> {
        let path = uri.path();
        if *method == Method::CONNECT || !path.starts_with('/') {
            return Err(Fault::new(
                FaultKind::BadTarget,
                "The request's target must be a path such as /v1/chat/completions.",
            ));
        }
        if climbs(path) {
            return Err(Fault::new(
                FaultKind::BadTarget,
                "The path has a \"..\" segment, plain or percent-encoded. Ask for the path itself.",
            ));
        }
        let endpoint = match path.strip_prefix("/v1") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
            _ => path,
        };
        let query = uri
            .query()
            .map_or(String::new(), |query| format!("?{query}"));
        Ok(Target {
            endpoint: endpoint.to_owned(),
            query,
        })
    }

    /// In origin form, ready for the upstream whose base path is `base_path`.
    ///
    /// # Errors
    /// Together they are too long for a target.
    pub(super) fn at(&self, base_path: &str) -> Result<PathAndQuery, Fault> {
        let mut joined = [base_path, &self.endpoint, &self.query].concat();
        if !joined.starts_with('/') {
            joined.insert(0, '/');
        }
        PathAndQuery::from_maybe_shared(bytes::Bytes::from(joined)).map_err(|_| {
            Fault::new(
                FaultKind::BadTarget,
                "The request's target is not a valid path.",
            )
        })
    }

    /// Whether the body names the model, in JSON.
    pub(super) fn names_model(&self) -> bool {
        self.is_one_of(&MODEL_ENDPOINTS) || self.is_one_of(&COUNTING_ENDPOINTS)
    }

    /// Whether the answer may tell what was used.
    pub(super) fn counts_tokens(&self) -> bool {
        self.is_one_of(&MODEL_ENDPOINTS) || self.is_one_of(&MULTIPART_ENDPOINTS)
    }

    /// Whether a stream tells what was used only if it is asked to.
    pub(super) fn counts_when_asked(&self) -> bool {
        self.is_one_of(&ASKED_ENDPOINTS)
    }

    fn is_one_of(&self, endpoints: &[&str]) -> bool {
        endpoints.contains(&self.endpoint.as_str())
    }
}

/// Whether a segment is `..` once its escapes are read, however often they were
/// escaped again; `\` counts as a separator since some servers take it for one.
fn climbs(path: &str) -> bool {
    // Most paths have neither a dot nor an escape.
    if !path.contains('.') && !path.contains('%') {
        return false;
    }
    let mut path = path.as_bytes().to_vec();
    loop {
        let parts = path.split(|byte| matches!(byte, b'/' | b'\\'));
        // Some servers drop `;parameters` of a segment before they resolve it.
        let mut names =
            parts.map(|part| part.split(|byte| *byte == b';').next().unwrap_or_default());
        if names.any(|name| name == b"..") {
            return true;
        }
        // Each round makes it shorter, so this ends.
        let decoded = decoded(&path);
        if decoded.len() == path.len() {
            return false;
        }
        path = decoded;
    }
}

/// `path` with its escapes read, once.
pub(super) fn decoded(path: impl AsRef<[u8]>) -> Vec<u8> {
    let path = path.as_ref();
    let mut decoded = Vec::with_capacity(path.len());
    let mut at = 0;
    while at < path.len() {
        let escape = if path[at] == b'%' {
            path.get(at + 1).zip(path.get(at + 2))
        } else {
            None
        };
        let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
        match escape.and_then(|(high, low)| Some(digit(*high)? << 4 | digit(*low)?)) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(path[at]);
                at += 1;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str, base: &str) -> Result<String, FaultKind> {
        let uri: Uri = path.parse().expect("a URI");
        Target::new(&Method::GET, &uri)
            .and_then(|target| target.at(base))
            .map(|at_upstream| at_upstream.to_string())
            .map_err(|fault| fault.kind)
    }

    #[test]
    fn with_and_without_v1_reach_the_same_place() {
        for base in ["", "/v1", "/api/openai/v1"] {
            assert_eq!(target("/v1/models", base), target("/models", base));
            assert_eq!(target("/models", base), Ok(format!("{base}/models")));
        }
        assert_eq!(target("/v1", "/v1"), Ok("/v1".into()));
        assert_eq!(target("/v1?a=b", ""), Ok("/?a=b".into()));
        assert_eq!(target("/v10/models", "/v1"), Ok("/v1/v10/models".into()));
    }

    #[test]
    fn path_and_query_keep_their_bytes() {
        for path in [
            "/files/a%20b%2Fc",
            "/x?q=%7B%22a%22%3A1%7D&&=&b=a+b",
            "/a//b/./c;d=e",
            "/x?../..",
            "/a...b/..c/d..",
            "/%E2%82%AC?%zz",
        ] {
            assert_eq!(target(path, "/v1"), Ok(format!("/v1{path}")));
        }
    }

    #[test]
    fn no_form_of_dot_dot_leaves_the_base_path() {
        for path in [
            "/..",
            "/../x",
            "/a/../b",
            "/a/..",
            "/%2e%2e/x",
            "/%2E./x",
            "/.%2e",
            "/a%2f..%2fb",
            "/a%2F%2e%2e",
            "/..%5cx",
            "/a%5C..",
            "/%252e%252e/x",
            "/%25252e./x",
            "/..;/x",
            "/..;a=b/x",
            "/%2e%2e%3bx/y",
            "/v1/../admin",
        ] {
            assert_eq!(target(path, "/v1"), Err(FaultKind::BadTarget), "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let asterisk: Uri = "*".parse().expect("asterisk form");
        assert!(Target::new(&Method::OPTIONS, &asterisk).is_err());
        let authority: Uri = "example.org:443".parse().expect("authority form");
        assert!(Target::new(&Method::CONNECT, &authority).is_err());
        let absolute: Uri = "http://anything/v1/models?x"
            .parse()
            .expect("absolute form");
        let target = Target::new(&Method::GET, &absolute).expect("absolute form has a path");
        assert_eq!(target.at("/v1").expect("a path"), "/v1/models?x");
    }
}
