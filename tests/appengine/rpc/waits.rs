//! Waiting for calls: for one, for any, for all; and the callbacks, which are of the wait.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use tokio::task::{Id, yield_now};
use urlfetch::appengine::{Rpc, UrlFetchService, create_rpc, wait_all, wait_any};

use super::gate::{Gate, Speaks, service};
use super::{made, poll_once};
use crate::script::in_time;

type Wait = for<'a> fn(&'a mut Rpc) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Each way to wait for an Rpc.
const WAITS: [(&str, Wait); 5] = [
    ("wait", |rpc| Box::pin(rpc.wait())),
    ("check_success", |rpc| {
        Box::pin(async { drop(rpc.check_success().await) })
    }),
    ("get_result", |rpc| {
        Box::pin(async { drop(rpc.get_result().await) })
    }),
    ("wait_any", |rpc| {
        Box::pin(async { assert_eq!(wait_any([rpc]).await, Some(0)) })
    }),
    ("wait_all", |rpc| Box::pin(wait_all([rpc]))),
];

/// The status, and the task that saw it.
type Seen = (u16, Option<Id>);

/// Not in the background, but in the task that waits, and only once, and not by a wait that was
/// broken off.
#[tokio::test]
async fn a_callback_is_called_by_the_first_wait() {
    for (name, wait) in WAITS {
        let mut gate = Gate::start(Speaks::Plain).await;
        let service = service(1);
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let kept = Arc::clone(&seen);
        let mut rpc = create_rpc(5)
            .with_callback(move |outcome| {
                let status = outcome.as_ref().unwrap().status_code();
                kept.lock().unwrap().push((status, tokio::task::try_id()));
            })
            .make_fetch_call(gate.call(&service, "/"));
        gate.asked().await;
        assert_eq!(poll_once(wait(&mut rpc)), None);
        gate.answer("/");
        // The next has its place: it is over.
        let _next = made(gate.call(&service, "/next"));
        gate.asked().await;
        assert_eq!(*seen.lock().unwrap(), [], "{name}");
        let waiting = tokio::spawn(async move {
            wait(&mut rpc).await;
            (rpc, tokio::task::id())
        });
        let (mut rpc, task) = waiting.await.unwrap();
        assert_eq!(*seen.lock().unwrap(), [(200, Some(task))], "{name}");
        for (_, again) in WAITS {
            again(&mut rpc).await;
        }
        assert_eq!(seen.lock().unwrap().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_callback_is_given_the_error_and_never_called_for_an_rpc_that_was_dropped() {
    let mut gate = Gate::start(Speaks::Plain).await;
    let service = service(3);
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let rpc = |call| {
        let seen = Arc::clone(&seen);
        let idle = create_rpc(None).with_callback(move |outcome| {
            let shown = outcome.as_ref().unwrap_err().to_string();
            seen.lock().unwrap().push(shown);
        });
        idle.make_fetch_call(call)
    };
    let under_way = rpc(gate.call(&service, "/"));
    gate.asked().await;
    drop(under_way);
    let over = rpc(gate.call(&service, "/").method("TRACE"));
    yield_now().await;
    drop(over);
    assert_eq!(*seen.lock().unwrap(), [""; 0]);
    let mut failed = rpc(gate.call(&service, "/").method("TRACE"));
    let error = failed.get_result().await.unwrap_err();
    assert!(error.is_invalid_method_error());
    assert_eq!(*seen.lock().unwrap(), [error.to_string()]);
}

/// It is the panic of whoever waits; the Rpc has its result all the same.
#[tokio::test]
async fn a_callback_that_panics_leaves_the_outcome() {
    for (name, wait) in WAITS {
        let service = service(1);
        let mut rpc = create_rpc(None)
            .with_callback(|_| panic!("of the callback"))
            .make_fetch_call(service.fetch("https://host.invalid/").method("TRACE"));
        yield_now().await;
        let mut waiting = wait(&mut rpc);
        let polled = AssertUnwindSafe(|| poll_once(waiting.as_mut()));
        assert!(catch_unwind(polled).is_err(), "{name}");
        drop(waiting);
        for (_, again) in WAITS {
            again(&mut rpc).await;
        }
        assert!(
            rpc.get_result()
                .await
                .unwrap_err()
                .is_invalid_method_error()
        );
    }
}

#[tokio::test]
async fn a_callback_that_panics_keeps_the_others_from_nobody() {
    let service = service(1);
    let called: Arc<Mutex<Vec<usize>>> = Arc::default();
    let mut rpcs: Vec<_> = (0..3)
        .map(|n| {
            let called = Arc::clone(&called);
            create_rpc(None)
                .with_callback(move |_| {
                    assert!(n != 1, "of the callback");
                    called.lock().unwrap().push(n);
                })
                .make_fetch_call(service.fetch("https://host.invalid/").method("TRACE"))
        })
        .collect();
    let all = AssertUnwindSafe(|| poll_once(wait_all(&mut rpcs)));
    yield_now().await;
    assert!(catch_unwind(all).is_err());
    assert_eq!(*called.lock().unwrap(), [0]);
    wait_all(&mut rpcs).await;
    assert_eq!(*called.lock().unwrap(), [0, 2]);
}

#[tokio::test]
async fn a_result_can_be_asked_for_again_and_is_the_same() {
    let mut gate = Gate::start(Speaks::Http1).await;
    let service = service(2);
    let mut good = made(gate.call(&service, "/good"));
    assert_eq!(gate.asked().await, "/good");
    let mut bad = made(service.fetch("https://user@host.invalid/"));
    // Broken off in every way, and nothing is lost.
    for (name, wait) in WAITS {
        assert_eq!(poll_once(wait(&mut good)), None, "{name}");
    }
    gate.answer("/good");
    good.wait().await;
    good.check_success().await.unwrap();
    let results = [
        good.get_result().await.unwrap(),
        good.get_result().await.unwrap(),
    ];
    assert_eq!(
        results.each_ref().map(|result| result.status_code()),
        [200; 2]
    );
    let [one, two] = results.each_ref().map(|result| result.content());
    assert_eq!(one, "/good");
    // Not only as long, but the very same bytes.
    assert_eq!(one.as_ptr(), two.as_ptr());

    let first = in_time(bad.check_success()).await.unwrap_err();
    assert!(first.is_invalid_url_error(), "{first}");
    let second = bad.get_result().await.unwrap_err();
    assert_eq!(first.to_string(), second.to_string());
}

/// A list of Rpcs and an array of loans alike.
#[tokio::test]
async fn the_first_that_is_over_is_the_same_until_it_is_taken_off() {
    assert_eq!(wait_any(&mut Vec::new()).await, None);
    assert_eq!(wait_any([]).await, None);
    wait_all(&mut Vec::new()).await;

    let mut gate = Gate::start(Speaks::Plain).await;
    let service = service(3);
    let mut rpcs = three(&mut gate, &service, &Arc::default()).await;
    assert_eq!(poll_once(wait_any(&mut rpcs)), None);
    gate.answer("/2");
    assert_eq!(in_time(wait_any(&mut rpcs)).await, Some(2));
    assert_eq!(poll_once(wait_any(&mut rpcs)), Some(Some(2)));
    gate.answer("/0");
    rpcs[0].wait().await;
    gate.answer("/1");
    rpcs[1].wait().await;
    // All are over now, and the first is still the first.
    assert_eq!(wait_any(&mut rpcs).await, Some(2));
    let [a, b, c] = &mut rpcs[..] else { panic!() };
    assert_eq!(wait_any([&mut *c, &mut *b, &mut *a]).await, Some(0));
    assert_eq!(wait_any([b, a]).await, Some(1));
    drop(rpcs.remove(2));
    assert_eq!(wait_any(&mut rpcs).await, Some(0));
}

#[tokio::test]
async fn callbacks_are_called_in_the_order_in_which_calls_end() {
    let mut gate = Gate::start(Speaks::Plain).await;
    let service = service(3);
    let called = Arc::default();
    let mut rpcs = three(&mut gate, &service, &called).await;
    // Each of these waits for the end of one of the three.
    let _next = [(); 3].map(|()| made(gate.call(&service, "/next")));
    for path in ["/2", "/0", "/1"] {
        gate.answer(path);
        assert_eq!(gate.asked().await, "/next");
    }
    assert_eq!(*called.lock().unwrap(), [0; 0]);
    wait_all(&mut rpcs).await;
    assert_eq!(*called.lock().unwrap(), [2, 0, 1]);
    wait_all(&mut rpcs).await;
    assert_eq!(called.lock().unwrap().len(), 3);
}

/// And as soon as they end, and once, however often the wait for all is broken off.
#[tokio::test]
async fn callbacks_do_not_wait_for_the_last() {
    let mut gate = Gate::start(Speaks::Plain).await;
    let service = service(3);
    let called: Arc<Mutex<Vec<usize>>> = Arc::default();
    let mut rpcs = three(&mut gate, &service, &called).await;
    for (ends, so_far) in [(1, &[1][..]), (2, &[1, 2]), (0, &[1, 2, 0])] {
        gate.answer(&format!("/{ends}"));
        in_time(async {
            while called.lock().unwrap().len() < so_far.len() {
                poll_once(wait_all(&mut rpcs));
                yield_now().await;
            }
        })
        .await;
        assert_eq!(*called.lock().unwrap(), so_far);
    }
    assert_eq!(poll_once(wait_all(&mut rpcs)), Some(()));
}

/// tokio lets a task hear of 128 at a time.
#[tokio::test]
async fn of_very_many_the_first_to_end_is_the_first() {
    let service = service(1);
    for waits_for_all in [false, true] {
        let called: Arc<Mutex<Vec<usize>>> = Arc::default();
        let rpc = |n| {
            let called = Arc::clone(&called);
            create_rpc(None)
                .with_callback(move |_| called.lock().unwrap().push(n))
                .make_fetch_call(service.fetch("https://host.invalid/").method("TRACE"))
        };
        let mut rpcs: Vec<_> = (0..300).map(rpc).collect();
        rpcs.reverse();
        // Tasks of this runtime run in the order in which they are spawned: this is the last.
        tokio::spawn(async {}).await.unwrap();
        if waits_for_all {
            wait_all(&mut rpcs).await;
            assert_eq!(*called.lock().unwrap(), Vec::from_iter(0..300));
        } else {
            assert_eq!(wait_any(&mut rpcs).await, Some(299));
            assert_eq!(wait_any(&mut rpcs).await, Some(299));
            assert_eq!(*called.lock().unwrap(), [0]);
        }
    }
}

/// Three calls that have come to the gate, as `/0`, `/1` and `/2`.
async fn three(
    gate: &mut Gate,
    service: &UrlFetchService,
    called: &Arc<Mutex<Vec<usize>>>,
) -> Vec<Rpc> {
    let rpcs = [0, 1, 2].map(|n| {
        let called = Arc::clone(called);
        create_rpc(None)
            .with_callback(move |_| called.lock().unwrap().push(n))
            .make_fetch_call(gate.call(service, &format!("/{n}")))
    });
    for _ in 0..3 {
        gate.asked().await;
    }
    rpcs.into()
}
