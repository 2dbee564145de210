//! When a deadline starts, what it counts, and whose deadline it is.
//!
//! The clock is paused once the server holds a request: from there on it stands still and is moved
//! by hand, or jumps to the next timer, and no test waits.

use std::future::IntoFuture;
use std::time::Duration;

use tokio::time::{Instant, advance, pause, resume};
use urlfetch::appengine::{
    Error, Fetch, Rpc, create_rpc, get_default_fetch_deadline, make_fetch_call,
    set_default_fetch_deadline,
};
use urlfetch::{ErrorKind, Phase};

use super::gate::{Gate, Speaks, service};
use super::{made, poll_once};

/// An Rpc's when it is made, a call's that is awaited directly when it is first polled.
#[tokio::test]
async fn a_deadline_starts_with_its_call() {
    let mut gate = Gate::start(Speaks::Plain).await;
    let service = service(2);
    pause();
    let mut rpc = made(gate.call(&service, "/rpc").deadline(5));
    let call = gate.call(&service, "/call").deadline(5).into_future();
    // Its task has not been polled before that.
    advance(seconds(6)).await;
    let error = rpc.get_result().await.unwrap_err();
    assert!(error.is_deadline_exceeded_error(), "{error}");
    assert!(!error.cause().request_was_sent());
    resume();
    let call = tokio::spawn(call);
    assert_eq!(gate.asked().await, "/call");
    gate.answer("/call");
    call.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_deadline_runs_while_nobody_waits() {
    let mut gate = Gate::start(Speaks::Plain).await;
    let mut rpc = made(gate.call(&service(1), "/").deadline(5));
    gate.asked().await;
    pause();
    advance(seconds(4)).await;
    let waits = Instant::now();
    let error = rpc.get_result().await.unwrap_err();
    assert!(error.is_deadline_exceeded_error(), "{error}");
    assert!(waits.elapsed() < seconds(2), "{:?}", waits.elapsed());
}

#[tokio::test]
async fn a_deadline_counts_the_queue_and_all_hops() {
    let mut gate = Gate::start(Speaks::Plain).await;
    let service = service(1);
    let mut holds = made(gate.call(&service, "/holds"));
    gate.asked().await;
    let mut rpc = made(gate.call(&service, "/here").deadline(7));
    pass(2).await;
    gate.answer("/holds");
    holds.check_success().await.unwrap();
    assert_eq!(gate.asked().await, "/here");
    pass(3).await;
    let sent_on = crate::script::reply("302 Found", "location: /there\r\n", "");
    gate.answer_by("/here", sent_on);
    assert_eq!(gate.asked().await, "/there");
    pause();
    let last = Instant::now();
    let error = rpc.get_result().await.unwrap_err();
    assert!(error.is_deadline_exceeded_error(), "{error}");
    // Two seconds are left of the seven, and a timer ends with the millisecond.
    assert!(last.elapsed() < seconds(3), "{:?}", last.elapsed());
    let cause = error.cause();
    assert!(cause.to_string().starts_with("the deadline of 7s ended"));
    assert_eq!(cause.phase(), Some(Phase::FirstByte));
    assert!(cause.request_was_sent());
    let timings = cause.timings();
    assert!(timings.total() >= seconds(7) && timings.total() < seconds(8));
    let queued = timings.queued().unwrap();
    assert!(queued >= seconds(2) && queued < seconds(3), "{timings}");
}

/// The wait for a place is in the timings of a result, where there was one.
#[tokio::test]
async fn a_wait_is_timed() {
    let mut gate = Gate::start(Speaks::Plain).await;
    let service = service(1);
    let mut first = made(gate.call(&service, "/first"));
    let mut next = made(gate.call(&service, "/next"));
    gate.asked().await;
    pass(2).await;
    gate.answer("/first");
    let first = first.get_result().await.unwrap();
    assert_eq!(first.timings().queued(), None);
    gate.asked().await;
    pass(1).await;
    gate.answer("/next");
    let next = next.get_result().await.unwrap();
    let queued = next.timings().queued().unwrap();
    assert!(queued >= seconds(2) && queued < seconds(3), "{queued:?}");
    assert!(next.timings().total() >= seconds(3));
}

/// The call's own comes first, then that of the Rpc, then that of the part of the task it was
/// prepared in, then that of the client.
#[tokio::test]
async fn a_wait_in_vain_names_the_deadline_and_nothing_is_sent() {
    let mut gate = Gate::start(Speaks::Plain).await;
    let service = service(1);
    let mut holds = made(gate.call(&service, "/holds").deadline(1000));
    gate.asked().await;
    pause();
    // (default of the task, Rpc if there is one and its deadline, call's own, what holds)
    let rows = [
        (None, None, None, 100),
        (None, None, Some(3), 3),
        (Some(7), None, None, 7),
        (Some(7), None, Some(3), 3),
        (None, Some(None), None, 100),
        (None, Some(Some(5)), None, 5),
        (Some(7), Some(None), None, 7),
        (Some(7), Some(Some(9)), None, 9),
        (Some(7), Some(Some(5)), Some(3), 3),
        (Some(7), Some(Some(5)), Some(8), 8),
    ];
    for row @ (default, rpc, own, holds) in rows {
        let prepare = async {
            let call = gate.call(&service, "/waits?secret");
            let call = call.deadline(own.map(seconds));
            match rpc {
                None => Prepared::Call(call),
                Some(rpc) => Prepared::Rpc(make_fetch_call(create_rpc(rpc.map(seconds)), call)),
            }
        };
        let prepared = match default {
            None => prepare.await,
            Some(default) => set_default_fetch_deadline(default, prepare).await,
        };
        let outcome = match prepared {
            Prepared::Call(call) => call.await,
            Prepared::Rpc(mut rpc) => rpc.get_result().await,
        };
        let error = outcome.unwrap_err();
        assert!(error.is_deadline_exceeded_error() && error.is_download_error());
        let cause = error.cause();
        let sentence = format!(
            "the deadline of {holds}s ended while waiting for its turn: another call is under \
             way, and one may be at once ({})",
            gate.server.url("/waits")
        );
        assert_eq!(cause.to_string(), sentence, "{row:?}");
        assert_eq!(
            error.to_string(),
            format!("DeadlineExceededError: {sentence}")
        );
        assert_eq!(cause.kind(), ErrorKind::Deadline);
        assert_eq!(cause.phase(), Some(Phase::Queued));
        assert!(!cause.request_was_sent());
        assert_eq!(cause.timings().queued().unwrap().as_secs(), holds);
        assert_eq!(cause.timings().total().as_secs(), holds);
    }
    resume();
    gate.answer("/holds");
    holds.check_success().await.unwrap();
    assert_eq!(gate.server.requests().len(), 1);
    assert_eq!(gate.server.connections(), 1);
}

enum Prepared {
    Call(Fetch),
    Rpc(Rpc),
}

#[tokio::test]
async fn a_wait_in_vain_says_how_many_there_are() {
    let mut gate = Gate::start(Speaks::Plain).await;
    let service = service(2);
    let _hold = [(); 2].map(|()| made(gate.call(&service, "/")));
    gate.asked().await;
    gate.asked().await;
    pause();
    let error = gate.call(&service, "/").deadline(1).await.unwrap_err();
    let why = "2 other calls are under way, as many as may be at once";
    assert!(error.to_string().contains(why), "{error}");
}

/// By [`create_rpc`], and for calls that have no Rpc by `fetch`.
#[tokio::test]
async fn the_default_is_looked_at_when_a_call_is_prepared() {
    let mut gate = Gate::start(Speaks::Plain).await;
    let service = service(1);
    let _holds = made(gate.call(&service, "/holds").deadline(1000));
    gate.asked().await;
    pause();
    let call = || gate.call(&service, "/waits");
    let outside = create_rpc(None);
    let (mut of_outside, of_inside, call_of_inside) = set_default_fetch_deadline(5, async {
        assert_eq!(get_default_fetch_deadline(), Some(seconds(5)));
        (outside.make_fetch_call(call()), create_rpc(None), call())
    })
    .await;
    let mut of_inside = of_inside.make_fetch_call(call());
    let mut of_neither = create_rpc(None).make_fetch_call(call_of_inside);
    let call_of_outside = call();
    let mut of_spawned = set_default_fetch_deadline(5, async {
        let call = call();
        let made = tokio::spawn(async { create_rpc(None).make_fetch_call(call) });
        made.await.unwrap()
    })
    .await;
    let rows = [
        (of_outside.get_result().await, 100),
        (of_inside.get_result().await, 5),
        (of_neither.get_result().await, 100),
        (of_spawned.get_result().await, 100),
        (
            set_default_fetch_deadline(5, call_of_outside.into_future()).await,
            100,
        ),
    ];
    for (n, (outcome, holds)) in rows.into_iter().enumerate() {
        let error = outcome.unwrap_err().cause().to_string();
        let expected = format!("the deadline of {holds}s ended");
        assert!(error.starts_with(&expected), "{n}: {error}");
    }
}

#[tokio::test]
async fn a_default_that_cannot_be_kept_is_the_error_of_each_call() {
    let gate = Gate::start(Speaks::Plain).await;
    let service = service(1);
    let call = || gate.call(&service, "/");
    let refused = |outcome: Result<_, Error>| {
        let error = outcome.unwrap_err();
        assert!(error.is_download_error());
        assert_eq!(error.cause().kind(), ErrorKind::InvalidRequest);
        let sentence = "DownloadError: a deadline of -1 s cannot be kept";
        assert!(error.to_string().starts_with(sentence), "{error}");
    };
    let outside = call();
    set_default_fetch_deadline(-1, async {
        assert_eq!(get_default_fetch_deadline(), None);
        refused(call().await);
        refused(call().deadline(5).await);
        refused(made(outside).get_result().await);
        refused(create_rpc(5).make_fetch_call(call()).get_result().await);
        let good = set_default_fetch_deadline(1, async { call() }).await;
        refused(create_rpc(5).make_fetch_call(good).get_result().await);
    })
    .await;
    // And one of a call's or an Rpc's own.
    refused(call().deadline(-1).await);
    refused(create_rpc(-1).make_fetch_call(call()).get_result().await);
    let named = create_rpc(-1).make_fetch_call(call().deadline(5));
    refused({ named }.get_result().await);
    assert_eq!(gate.server.connections(), 0);
}

/// Where there is neither a runtime nor a clock.
#[test]
fn defaults_need_no_runtime() {
    let within = set_default_fetch_deadline(0.5, async { get_default_fetch_deadline() });
    assert_eq!(poll_once(within), Some(Some(seconds(1) / 2)));
}

/// Time passes, and nothing else happens.
async fn pass(time: u64) {
    pause();
    advance(seconds(time)).await;
    resume();
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
