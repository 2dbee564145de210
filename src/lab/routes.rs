//! What the well-behaved servers answer: `/` is the scenario's own, and the other paths are the
//! same on all of them.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use url::form_urlencoded;

use super::reply::Reply;
use super::{Scenario, coding};

/// What `/` answers.
#[derive(Debug)]
pub(super) enum Front {
    Greeting(Scenario),
    Redirect(String),
    Coded(&'static str, Bytes),
    Bomb,
    Big,
}

impl Front {
    /// The front of this scenario; `url` gives the address of another one's path, with the scheme
    /// in front.
    pub(super) fn of(scenario: Scenario, url: impl Fn(&str, Scenario, &str) -> String) -> Self {
        match scenario {
            Scenario::Gzip => Self::Coded("gzip", coding::gzip()),
            Scenario::Deflate => Self::Coded("deflate", coding::deflate()),
            Scenario::DeflateRaw => Self::Coded("deflate", coding::deflate_raw()),
            Scenario::Brotli => Self::Coded("br", coding::brotli()),
            Scenario::Zstd => Self::Coded("zstd", coding::zstd()),
            Scenario::BrokenCoding => Self::Coded("gzip", coding::broken_gzip()),
            Scenario::DoubleCoding => Self::Coded("gzip, gzip", coding::gzip()),
            Scenario::DecompressionBomb => Self::Bomb,
            Scenario::BigBody => Self::Big,
            Scenario::RedirectChain => Self::Redirect("/redirect/2".to_owned()),
            Scenario::RedirectLoop => Self::Redirect("/".to_owned()),
            Scenario::RedirectDowngrade => Self::Redirect(url("http", Scenario::PlainHttp, "/")),
            Scenario::RedirectCrossOrigin => Self::Redirect(url("https", Scenario::Good, "/echo")),
            _ => Self::Greeting(scenario),
        }
    }

    fn answer(&self) -> Response<Reply> {
        match self {
            Self::Greeting(scenario) => text(
                StatusCode::OK,
                format!("Hello from the urlfetch lab: {scenario}.\n"),
            ),
            Self::Redirect(to) => redirect(StatusCode::FOUND, to),
            Self::Coded(coding, body) => coded(coding, body.clone().into()),
            Self::Bomb => coded("gzip", coding::bomb()),
            Self::Big => reply(
                StatusCode::OK,
                Reply {
                    unannounced: true,
                    ..Reply::filled(BIG)
                },
            ),
        }
    }
}

/// Answers one request, after having read all of it: a connection is then fit for the next one.
pub(super) async fn answer(
    front: &Front,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Infallible> {
    let is_head = request.method() == Method::HEAD;
    let mut response = answer_whole(front, request).await;
    // RFC 9110 §9.3.2. hyper's server sees to it on HTTP/1.1 alone.
    if is_head {
        let length = response.body().size_hint().exact();
        *response.body_mut() = Reply::default();
        if let Some(length) = length.filter(|length| *length > 0) {
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
    }
    Ok(response)
}

async fn answer_whole(front: &Front, request: Request<Incoming>) -> Response<Reply> {
    let (head, body) = request.into_parts();
    let Some(payload) = read(body).await else {
        return text(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("More than {MAX_PAYLOAD} bytes.\n"),
        );
    };

    let path = head.uri.path();
    let (route, argument) = path
        .trim_start_matches('/')
        .split_once('/')
        .unwrap_or((path, ""));
    match (route, argument.parse::<u64>()) {
        ("/", _) => front.answer(),
        ("/echo", _) => echo(&head, &payload),
        ("status", Ok(code)) => status(code, head.uri.query()),
        ("bytes", Ok(length)) => reply(StatusCode::OK, Reply::filled(length)),
        ("redirect", Ok(0)) => text(StatusCode::OK, "The end of the redirects.\n".to_owned()),
        ("redirect", Ok(more)) => redirect(StatusCode::FOUND, &format!("/redirect/{}", more - 1)),
        _ => text(StatusCode::NOT_FOUND, format!("There is no {path} here.\n")),
    }
}

/// The payload, or `None` if it is too long or did not arrive whole.
async fn read(body: Incoming) -> Option<Vec<u8>> {
    let mut body = pin!(body);
    let mut payload = Vec::new();
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        if let Ok(data) = frame.ok()?.into_data() {
            payload.extend_from_slice(&data);
        }
        if payload.len() > MAX_PAYLOAD {
            return None;
        }
    }
    Some(payload)
}

/// The request as it was received: its line, its fields, an empty line, its payload.
fn echo(head: &http::request::Parts, payload: &[u8]) -> Response<Reply> {
    let target = head
        .uri
        .path_and_query()
        .map_or("*", |target| target.as_str());
    let mut lines = format!("{} {target} {:?}\n", head.method, head.version).into_bytes();
    // HTTP/2 has the host in a pseudo-header field (RFC 9113 §8.3.1), which hyper puts into the
    // URI.
    let authority = head
        .uri
        .authority()
        .filter(|_| !head.headers.contains_key(HOST));
    let host = authority.map(|authority| (HOST.as_str(), authority.as_str().as_bytes()));
    let fields = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    for (name, value) in host.into_iter().chain(fields) {
        lines.extend([name.as_bytes(), b": ", value, b"\n"].concat());
    }
    lines.push(b'\n');
    lines.extend_from_slice(payload);
    plain(StatusCode::OK, lines.into())
}

/// The status asked for, with the `location` of the query if there is one.
fn status(code: u64, query: Option<&str>) -> Response<Reply> {
    // Interim responses (1xx) come before an answer and are none; hyper's server sends none of
    // them.
    let status = u16::try_from(code)
        .ok()
        .filter(|code| *code >= 200)
        .and_then(|code| StatusCode::from_u16(code).ok());
    let Some(status) = status else {
        return text(
            StatusCode::BAD_REQUEST,
            "A status is 200 to 999.\n".to_owned(),
        );
    };
    let mut query = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    match query.find(|(name, _)| name == "location") {
        Some((_, location)) => redirect(status, &location),
        None if [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status) => {
            reply(status, Reply::default())
        }
        None => text(status, format!("{status}\n")),
    }
}

fn redirect(status: StatusCode, to: &str) -> Response<Reply> {
    let Ok(location) = HeaderValue::from_str(to) else {
        return text(
            StatusCode::BAD_REQUEST,
            "That is no value of a Location.\n".to_owned(),
        );
    };
    let mut response = text(status, "It is elsewhere.\n".to_owned());
    response.headers_mut().insert(LOCATION, location);
    response
}

fn coded(coding: &'static str, body: Reply) -> Response<Reply> {
    let mut response = plain(StatusCode::OK, body);
    response
        .headers_mut()
        .insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    response
}

fn text(status: StatusCode, text: String) -> Response<Reply> {
    plain(status, text.into())
}

fn plain(status: StatusCode, body: Reply) -> Response<Reply> {
    let mut response = reply(status, body);
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

fn reply(status: StatusCode, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// Twice what a client buffers by default.
const BIG: u64 = 64 * 1024 * 1024;
const MAX_PAYLOAD: usize = 16 * 1024 * 1024;
