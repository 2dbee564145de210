//! How many calls run at once, who is next, and when a place is free again.

use std::future::IntoFuture;
use std::net::TcpListener;

use urlfetch::ErrorKind;
use urlfetch::appengine::{Rpc, UrlFetchService, wait_all};

use super::gate::{Gate, Speaks, at_most, service};
use super::{made, runtimes};
use crate::script::{self, Server, Then, in_time, reply};
use crate::stall;

#[tokio::test]
async fn as_many_calls_run_at_once_as_may_and_no_more() {
    // (the number that is set, the number that holds)
    for (set, most) in [(Some(0), 1_usize), (Some(1), 1), (Some(3), 3), (None, 100)] {
        // Of Rpcs, of calls that are awaited directly, and of both.
        for rpcs in [0, most, most.div_ceil(2)] {
            let mut gate = Gate::start(Speaks::Plain).await;
            let service = match set {
                Some(set) => service(set),
                None => UrlFetchService::new(script::client()),
            };
            let calls: Vec<_> = (0..2 * most)
                .map(|n| {
                    let call = gate.call(&service, &format!("/{n}"));
                    match n % most < rpcs {
                        true => tokio::spawn(async { made(call).get_result().await }),
                        false => tokio::spawn(call.into_future()),
                    }
                })
                .collect();
            for _ in 0..most {
                gate.asked().await;
            }
            // All others have had their chance when somebody who came later is there.
            let later = made(gate.call(&self::service(1), "/later"));
            assert_eq!(gate.asked().await, "/later");
            assert_eq!(gate.server.requests().len(), most + 1, "{set:?} {rpcs}");
            drop(later);
            gate.answer_all();
            for _ in 0..most {
                let path = gate.asked().await;
                gate.answer(&path);
            }
            for call in calls {
                assert_eq!(in_time(call).await.unwrap().unwrap().status_code(), 200);
            }
        }
    }
}

/// However the runtime orders its tasks, and however many are made in one breath.
#[test]
fn calls_run_in_the_order_in_which_they_were_made() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let server = Server::plain(|_| (reply("200 OK", "", ""), Then::Stay)).await;
            let service = service(1);
            let paths: Vec<_> = (0..CALLS).map(|n| format!("/{n}")).collect();
            let calls = paths.iter().map(|path| service.fetch(server.url(path)));
            let calls: Vec<_> = calls.collect();
            let making = async {
                let mut rpcs: Vec<Rpc> = calls.into_iter().map(made).collect();
                wait_all(&mut rpcs).await;
            };
            in_time(tokio::spawn(making)).await.unwrap();
            let asked = server.requests();
            let asked: Vec<_> = asked.iter().map(|request| request.path()).collect();
            assert_eq!(asked, paths);
        });
    }
}

/// Of tokio's budget for one turn of a task, and more.
const CALLS: usize = 200;

/// However a call ends, the one place is free again.
#[tokio::test]
async fn a_place_comes_back() {
    let mut gate = Gate::start(Speaks::Http1).await;
    let service = service(1);
    let path = |n: usize| format!("/{n}");
    for n in 0..9 {
        match n {
            // A response, and one that says no.
            0 | 1 => {
                let mut rpc = made(gate.call(&service, &path(n)));
                let asked = gate.asked().await;
                let status = ["200 OK", "500 Internal Server Error"][n];
                gate.answer_by(&asked, reply(status, "", ""));
                rpc.check_success().await.unwrap();
            }
            // What is refused before it begins, and what comes to no connection.
            2 => {
                let error = made(service.fetch("https://user@host.invalid/"))
                    .get_result()
                    .await;
                assert!(error.unwrap_err().is_invalid_url_error());
            }
            3 => {
                let closed = TcpListener::bind("127.0.0.1:0")
                    .unwrap()
                    .local_addr()
                    .unwrap();
                let mut rpc = made(service.fetch(format!("http://{closed}/")));
                let error = rpc.check_success().await.unwrap_err();
                assert_eq!(error.cause().kind(), ErrorKind::Connect);
            }
            // No answer, and half an answer.
            4 | 5 => {
                let mut rpc = made(gate.call(&service, &path(n)).deadline(0.2));
                let asked = gate.asked().await;
                if n == 5 {
                    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
                    gate.answer_by(&asked, half.to_vec());
                }
                let error = rpc.get_result().await.unwrap_err();
                assert!(error.is_deadline_exceeded_error(), "{error}");
            }
            // Dropped when it runs, and while it waits.
            6 => {
                let rpc = made(gate.call(&service, &path(n)));
                gate.asked().await;
                drop(rpc);
            }
            7 => {
                let rpc = made(gate.call(&service, &path(n)));
                let waits = made(gate.call(&service, "/waits"));
                gate.asked().await;
                drop(waits);
                drop(rpc);
            }
            // Dropped at once: it may not have begun.
            _ => drop(made(gate.call(&service, &path(n)))),
        }
        let mut next = made(gate.call(&service, "/next"));
        assert_eq!(gate.asked().await, "/next", "{n}");
        gate.answer("/next");
        next.check_success().await.unwrap();
    }
}

/// Nor does it matter that somebody in there has a place, and somebody was just given one.
#[test]
fn a_runtime_that_stands_still_keeps_its_places_from_nobody() {
    let mut server = stall::Server::start(|connection| async move {
        let number = connection.number;
        let mut tls = connection.tls().await.unwrap();
        while tls.read_head().await {
            if number > 0 {
                tls.write(stall::OK).await;
            }
        }
    });
    let service = at_most(1, server.client_builder());
    let url = server.url("/");
    let call = || service.fetch(&url);
    let [parked, other] = runtimes();
    let (runs, waits) = parked.block_on(async {
        let calls = (made(call()), made(call()));
        assert_eq!(server.report().await, "asked");
        calls
    });
    other.block_on(in_time(call().into_future())).unwrap();
    // Its place is given on, and nobody is there to take it.
    drop(runs);
    parked.block_on(tokio::task::yield_now());
    other.block_on(in_time(call().into_future())).unwrap();
    // Nor is one lost with a runtime.
    drop(parked);
    other.block_on(in_time(call().into_future())).unwrap();
    let mut waits = waits;
    let error = other.block_on(waits.get_result()).unwrap_err();
    assert!(error.is_internal_transient_error());
}
