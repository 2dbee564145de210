//! Calls that run by themselves: what begins one, what ends it, and what becomes of it where there
//! is no runtime, or none any more.

use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tokio::runtime::{Builder, Runtime};
use tracing::{Instrument, Level, info_span};
use urlfetch::appengine::{
    Error, Fetch, FetchResult, IdleRpc, Rpc, UrlFetchService, create_rpc, fetch, make_fetch_call,
    set_default_fetch_deadline, wait_all, wait_any,
};
use urlfetch::{ErrorKind, Resolve, Resolving};

use crate::log::Log;
use crate::script::{HOST, builder, in_time};
use crate::stall;
use gate::{Gate, Speaks, at_most, service};

mod deadlines;
mod gate;
mod queue;
mod waits;

#[test]
fn the_work_starts_when_the_call_is_made() {
    for runtime in runtimes() {
        runtime.block_on(async {
            for speaks in [Speaks::Plain, Speaks::Http1, Speaks::H2] {
                let mut gate = Gate::start(speaks).await;
                let service = service(1);
                let mut rpc = make_fetch_call(create_rpc(60), gate.call(&service, "/"));
                // Nobody polls it until the server has it.
                assert_eq!(gate.asked().await, "/");
                gate.answer("/");
                let result = in_time(rpc.get_result()).await.unwrap();
                assert_eq!(result.content(), "/", "{speaks:?}");
            }
        });
    }
}

#[test]
fn an_rpc_that_is_dropped_is_cancelled() {
    for runtime in runtimes() {
        runtime.block_on(async {
            for speaks in [Speaks::Plain, Speaks::Http1, Speaks::H2] {
                let mut gate = Gate::start(speaks).await;
                let service = service(1);
                // Over h2 the connection stays, and the stream is reset.
                for path in ["/one", "/two"] {
                    let rpc = made(gate.call(&service, path));
                    assert_eq!(gate.asked().await, path);
                    drop(rpc);
                    assert_eq!(gate.gone().await, path, "{speaks:?}");
                }
                let connections = match speaks {
                    Speaks::H2 => 1,
                    Speaks::Plain | Speaks::Http1 => 2,
                };
                assert_eq!(gate.server.connections(), connections);
                let mut next = made(gate.call(&service, "/next"));
                gate.asked().await;
                gate.answer("/next");
                in_time(next.check_success()).await.unwrap();
            }
        });
    }
}

/// Nor is anything asked for by a call that was dropped in the queue.
#[tokio::test]
async fn an_rpc_that_is_dropped_in_the_queue_is_never_sent() {
    let mut gate = Gate::start(Speaks::Plain).await;
    let service = service(1);
    let mut first = made(gate.call(&service, "/first"));
    let dropped = made(gate.call(&service, "/dropped"));
    let mut last = made(gate.call(&service, "/last"));
    assert_eq!(gate.asked().await, "/first");
    drop(dropped);
    gate.answer("/first");
    assert_eq!(gate.asked().await, "/last");
    gate.answer("/last");
    first.check_success().await.unwrap();
    last.check_success().await.unwrap();
    assert_eq!(gate.server.requests().len(), 2);
}

#[test]
fn outside_a_runtime_the_result_is_an_error() {
    let service = service(1);
    let url = "https://host.invalid/path?secret";
    for call in [fetch(url), service.fetch(url)] {
        let (called, was_called) = std::sync::mpsc::channel();
        let idle =
            create_rpc(5).with_callback(move |outcome| called.send(outcome.is_err()).unwrap());
        let mut rpc = make_fetch_call(idle, call.deadline(1));
        assert_eq!(poll_once(wait_any([&mut rpc])), Some(Some(0)));
        assert_eq!(poll_once(wait_all([&mut rpc])), Some(()));
        let error = poll_once(rpc.get_result()).unwrap().unwrap_err();
        assert_eq!(was_called.iter().collect::<Vec<_>>(), [true]);
        assert_no_runtime(&error);
    }
    for call in [fetch(url), service.fetch(url)] {
        let call = poll_once(set_default_fetch_deadline(5, call.into_future()));
        assert_no_runtime(&call.unwrap().unwrap_err());
    }
}

fn assert_no_runtime(error: &Error) {
    assert!(error.is_download_error() && !error.is_internal_transient_error());
    assert_eq!(error.cause().kind(), ErrorKind::Config);
    assert!(!error.cause().request_was_sent());
    let shown = error.to_string();
    let start = "DownloadError: a call needs a tokio runtime to run in: ";
    assert!(shown.starts_with(start), "{shown}");
    assert!(shown.ends_with(" (https://host.invalid/path)"), "{shown}");
}

/// To whomever asks then, in a runtime or outside of one.
#[test]
fn a_call_whose_runtime_is_gone_is_lost_by_name() {
    for gone in runtimes() {
        let mut server = stall::Server::start(|connection| async move {
            let mut tls = connection.tls().await.unwrap();
            while tls.read_head().await {}
        });
        let service = at_most(1, server.client_builder());
        let url = server.url("/path?secret");
        let call = || service.fetch(&url);
        let (under_way, waits) = gone.block_on(async {
            let rpcs = (made(call()), made(call()));
            assert_eq!(server.report().await, "asked");
            rpcs
        });
        let handle = gone.handle().clone();
        drop(gone);
        let too_late = {
            let _entered = handle.enter();
            made(call())
        };
        let [here, _] = runtimes();
        for (mut rpc, asks_here) in [(under_way, true), (waits, false), (too_late, true)] {
            let result = async {
                rpc.check_success().await.unwrap_err();
                rpc.get_result().await.unwrap_err()
            };
            let error = match asks_here {
                true => here.block_on(in_time(result)),
                false => poll_once(result).unwrap(),
            };
            assert!(error.is_internal_transient_error(), "{error}");
            assert!(!error.is_download_error());
            assert!(error.cause().request_was_sent());
            let shown = error.to_string();
            let start = "InternalTransientError: the task that ran the call is gone: ";
            assert!(shown.starts_with(start), "{shown}");
            assert!(shown.ends_with("/path)"), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_panic_in_what_the_client_was_made_of_is_an_error() {
    struct Panics;

    impl Resolve for Panics {
        fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
            panic!("of the resolver")
        }
    }

    let mut gate = Gate::start(Speaks::Plain).await;
    let service = at_most(1, builder().resolver(Panics));
    for _ in 0..2 {
        let mut rpc = made(service.fetch("https://host.invalid/"));
        let error = in_time(rpc.get_result()).await.unwrap_err();
        assert!(error.is_internal_transient_error());
        assert!(error.to_string().contains("of the resolver"), "{error}");
        assert_eq!(
            error.cause().url().unwrap().as_str(),
            "https://host.invalid/"
        );
    }
    // Its place is free again. This host needs no resolver.
    let mut rpc = made(gate.call(&service, "/"));
    assert_eq!(gate.asked().await, "/");
    gate.answer("/");
    rpc.check_success().await.unwrap();
}

/// And it begins there, so that a wait for a place is in it, and one that is in vain too.
#[tokio::test]
async fn the_span_of_a_call_is_in_that_it_was_made_in() {
    let (log, _guard) = Log::capture(Level::INFO);
    let mut gate = Gate::start(Speaks::Plain).await;
    let service = service(1);
    let mut first = info_span!("making").in_scope(|| made(gate.call(&service, "/first")));
    let mut next = info_span!("making").in_scope(|| made(gate.call(&service, "/next")));
    let hasty = gate.call(&service, "/hasty").deadline(0.01).into_future();
    hasty.instrument(info_span!("making")).await.unwrap_err();
    gate.asked().await;
    gate.answer("/first");
    gate.asked().await;
    gate.answer("/next");
    let waiting = async {
        first.check_success().await.unwrap();
        next.check_success().await.unwrap();
    };
    waiting.instrument(info_span!("waiting")).await;
    let all = log.all();
    let fetches: Vec<_> = all.iter().filter(|each| each.name == "fetch").collect();
    let rows = [
        ("/first", false, None),
        ("/next", true, None),
        ("/hasty", true, Some("deadline")),
    ];
    assert_eq!(fetches.len(), rows.len());
    for (fetch, (path, queued, error)) in fetches.into_iter().zip(rows) {
        assert_eq!(all[fetch.parent.unwrap()].name, "making");
        assert_eq!(fetch.field("url.full"), Some(&*gate.server.url(path)));
        assert_eq!(fetch.field("timing.queued_ms").is_some(), queued, "{path}");
        assert_eq!(fetch.field("error.type"), error);
    }
}

#[tokio::test]
async fn no_secret_is_shown_of_an_rpc() {
    let service = service(1);
    let call = || {
        let headers = [("authorization", "hunter2")];
        let call = service.fetch("https://host.invalid/path?hunter2");
        call.headers(headers).payload("hunter2").method("TRACE")
    };
    let idle = create_rpc(5);
    assert_eq!(
        format!("{idle:?}"),
        "IdleRpc { deadline: Ok(Some(5s)), .. }"
    );
    let mut rpc = idle.make_fetch_call(call());
    assert!(!format!("{rpc:?}").contains("hunter2"));
    rpc.wait().await;
    let shown = format!("{rpc:?}");
    assert!(
        shown.contains("InvalidMethodError") && !shown.contains("hunter2"),
        "{shown}"
    );
    let url = format!("https://{HOST}/path?hunter2");
    let rpc = made(service.fetch(url));
    assert_eq!(
        format!("{rpc:?}"),
        format!("Rpc {{ url: Some(\"https://{HOST}/path\"), .. }}")
    );
}

#[test]
fn all_of_it_can_cross_threads() {
    fn sends<T: Send>(_: T) {}
    fn is_send<T: Send + 'static>() {}
    fn is_shared<T: Clone + Send + Sync + 'static>() {}

    is_send::<(IdleRpc, Rpc, Fetch)>();
    is_send::<<Fetch as IntoFuture>::IntoFuture>();
    is_shared::<(UrlFetchService, Error, FetchResult)>();
    let call = || fetch("https://host.invalid/");
    let mut rpcs = [(); 4].map(|()| made(call()));
    sends(call().send());
    sends(set_default_fetch_deadline(5, call().send()));
    let [a, b, c, d] = &mut rpcs;
    sends(a.wait());
    sends(b.check_success());
    sends(c.get_result());
    sends(wait_any([&mut *a, b]));
    sends(wait_all([c, d]));
    let mut rpcs = Vec::from(rpcs);
    sends(wait_any(&mut rpcs));
    sends(wait_all(&mut rpcs));
}

fn made(call: Fetch) -> Rpc {
    make_fetch_call(create_rpc(None), call)
}

fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// One of each kind.
fn runtimes() -> [Runtime; 2] {
    [Builder::new_current_thread(), Builder::new_multi_thread()]
        .map(|mut builder| builder.worker_threads(2).enable_all().build().unwrap())
}
