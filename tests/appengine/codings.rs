//! Bodies in a content coding, of which the original undid gzip alone, and let its exceptions out.
#![cfg(feature = "gzip")]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use urlfetch::Limits;
use urlfetch::appengine::{Exception, HEAD, UrlFetchService};
use urlfetch::lab::{Lab, Scenario};

use crate::script::{self, Server, Then, in_time, reply};
use crate::{scripted, service_of};

/// A server whose every body is said to be in this coding.
async fn coded(coding: &'static str, body: Vec<u8>) -> Server {
    Server::tls(move |request| {
        let line = format!("content-encoding: {coding}\r\n");
        let mut answer = reply("200 OK", &line, &body);
        if request.line.starts_with("HEAD ") {
            answer.truncate(answer.len() - body.len());
        }
        (answer, Then::Stay)
    })
    .await
}

#[tokio::test]
async fn a_coding_is_asked_for_and_undone_whatever_its_case() {
    for coding in ["gzip", "GZIP", "GZip", "x-gzip"] {
        let server = coded(coding, gzip("hello")).await;
        let call = scripted().fetch(server.url("/"));
        let result = in_time(call.send()).await.unwrap();
        assert_eq!(result.content(), "hello", "{coding}");
        // They were about what is no longer there.
        assert!(!result.headers().contains("content-encoding"), "{coding}");
        assert!(!result.headers().contains("content-length"), "{coding}");
        let asked = server.last().header("accept-encoding");
        assert!(asked.starts_with("gzip"), "{asked}");
    }
}

#[tokio::test]
async fn who_asks_for_a_coding_gets_the_bytes_as_they_came() {
    let server = coded("gzip", gzip("hello")).await;
    for accepted in ["gzip", "gzip, br", "identity", ""] {
        let call = scripted().fetch(server.url("/"));
        let call = call.headers([("Accept-Encoding", accepted)]);
        let result = in_time(call.send()).await.unwrap();
        assert_eq!(result.content(), &gzip("hello"));
        assert_eq!(result.headers().get("Content-Encoding").unwrap(), "gzip");
        assert_eq!(server.last().header("accept-encoding"), accepted);
    }
}

/// They went through the original untouched, and arrived as they were.
#[cfg(all(feature = "br", feature = "zstd"))]
#[tokio::test]
async fn the_other_codings_that_are_asked_for_are_undone_too() {
    let lab = Lab::start().await.unwrap();
    let service = service_of(&lab);
    for scenario in [
        Scenario::Gzip,
        Scenario::Deflate,
        Scenario::DeflateRaw,
        Scenario::Brotli,
        Scenario::Zstd,
    ] {
        let result = service.fetch(lab.url(scenario)).await.unwrap();
        assert_eq!(result.content(), &Lab::coded_text(), "{scenario}");
    }
}

#[tokio::test]
async fn a_bad_gzip_body_is_a_malformed_reply_and_says_why() {
    let whole = gzip("hello");
    let mut wrong_sum = whole.clone();
    let at = wrong_sum.len() - 8;
    wrong_sum[at] ^= 1;
    let short = whole[..whole.len() - 1].to_vec();
    let trailed = [&whole[..], b"!"].concat();
    for (coding, body, why) in [
        ("gzip", b"hello".to_vec(), "gzip"),
        ("gzip", wrong_sum, "gzip"),
        ("gzip", short, "gzip"),
        ("gzip", trailed, "gzip"),
        (
            "gzip, gzip",
            gzip("hello"),
            "more than one Content-Encoding",
        ),
        ("tar", b"hello".to_vec(), "tar"),
    ] {
        let server = coded(coding, body).await;
        let error = in_time(scripted().fetch(server.url("/")).send())
            .await
            .unwrap_err();
        assert_eq!(error.exception(), Exception::MalformedReplyError, "{error}");
        assert!(error.is_download_error());
        let shown = error.to_string();
        assert!(shown.starts_with("MalformedReplyError: "), "{shown}");
        assert!(
            shown.contains(why) && shown.contains(script::HOST),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn a_head_with_a_coding_is_a_result() {
    for body in [gzip("hello"), b"hello".to_vec(), Vec::new()] {
        let server = coded("gzip", body).await;
        let call = scripted().fetch(server.url("/")).method(HEAD);
        let result = in_time(call.send()).await.unwrap();
        assert_eq!(result.content(), "");
        assert_eq!(result.headers().get("content-encoding").unwrap(), "gzip");
    }
}

/// The original read all of it into memory, and looked at its size then.
#[tokio::test]
async fn a_bomb_is_cut_at_the_limit() {
    let lab = Lab::start().await.unwrap();
    let limits = Limits::app_engine().max_response_size(1 << 20);
    let client = lab.client_builder().unwrap().limits(limits);
    let service = UrlFetchService::new(client.build().unwrap());
    let bomb = || service.fetch(lab.url(Scenario::DecompressionBomb));
    let error = in_time(bomb().send()).await.unwrap_err();
    assert_eq!(error.exception(), Exception::ResponseTooLargeError);
    assert_eq!(error.response().unwrap().content().len(), 1 << 20);
    let result = in_time(bomb().allow_truncated(true).send()).await.unwrap();
    assert_eq!(result.content().len(), 1 << 20);
    assert!(result.content_was_truncated());
}

/// A coding may say nothing at any length: gzip's empty members.
#[tokio::test]
async fn a_body_that_decodes_to_nothing_is_cut_too() {
    let limits = Limits::app_engine().max_response_size(1000);
    let client = script::builder().limits(limits).build().unwrap();
    let server = coded("gzip", gzip("").repeat(100_000)).await;
    let call = UrlFetchService::new(client).fetch(server.url("/"));
    let error = in_time(call.allow_truncated(true).send())
        .await
        .unwrap_err();
    assert_eq!(error.exception(), Exception::ResponseTooLargeError);
    assert!(error.response().is_none(), "nothing of it was decoded");
    assert!(error.to_string().contains("limit of 1000 bytes"), "{error}");
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}
