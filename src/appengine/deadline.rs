//! Deadlines in seconds, and the one that holds for calls that name none.

use std::future::Future;
use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// How long a call may take: a [`Duration`], or seconds, whole or not; `None` is the default.
pub trait IntoDeadline: sealed::Sealed {
    /// The deadline, or an error if there is no such time.
    #[doc(hidden)]
    fn into_deadline(self) -> Result<Option<Duration>, Error>;
}

mod sealed {
    #[expect(
        unnameable_types,
        reason = "that nobody can name it is what seals the trait"
    )]
    pub trait Sealed {}
}

macro_rules! into_deadline {
    ($($from:ty => |$deadline:ident| $into:expr;)*) => {$(
        impl sealed::Sealed for $from {}

        impl IntoDeadline for $from {
            fn into_deadline(self) -> Result<Option<Duration>, Error> {
                let $deadline = self;
                $into
            }
        }
    )*};
}

into_deadline! {
    Duration => |deadline| Ok(Some(deadline));
    Option<Duration> => |deadline| Ok(deadline);
    f64 => |seconds| seconds_of(seconds);
    i32 => |seconds| seconds_of(seconds.into());
    u32 => |seconds| Ok(Some(Duration::from_secs(seconds.into())));
    u64 => |seconds| Ok(Some(Duration::from_secs(seconds)));
}

fn seconds_of(seconds: f64) -> Result<Option<Duration>, Error> {
    let deadline = Duration::try_from_secs_f64(seconds);
    deadline.map(Some).map_err(|error| {
        Error::new(
            ErrorKind::InvalidRequest,
            format!("a deadline of {seconds} s cannot be kept"),
        )
        .with_source(error)
    })
}

/// Does `work` with this deadline for each call in it that names none. In App Engine it was set for
/// a thread; here it is set for a task, or a part of one.
///
/// It holds for what is prepared by [`fetch`](super::fetch) or [`create_rpc`](super::create_rpc)
/// while `work` runs, not for tasks that `work` spawns: those have none until they set one. One
/// inside another counts for what is inside. `None` stands for the client's own deadline, 60 s
/// unless its limits say otherwise.
///
/// The call's own deadline counts before that of its Rpc, and either before this one. A default that
/// cannot be kept, such as -1, is the error of each call that is prepared under it.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> Result<(), urlfetch::appengine::Error> {
/// use urlfetch::appengine;
///
/// let result = appengine::set_default_fetch_deadline(10, async {
///     appengine::fetch("https://example.com/").await
/// })
/// .await?;
/// # Ok(())
/// # }
/// ```
pub fn set_default_fetch_deadline<F: Future>(
    deadline: impl IntoDeadline,
    work: F,
) -> impl Future<Output = F::Output> {
    DEFAULT.scope(deadline.into_deadline(), work)
}

/// The deadline that [`set_default_fetch_deadline`] has set for this part of this task; `None` if
/// there is none, or what was set cannot be kept.
pub fn get_default_fetch_deadline() -> Option<Duration> {
    default().ok().flatten()
}

/// The same, or why what was set cannot be kept.
pub(super) fn default() -> Result<Option<Duration>, Error> {
    DEFAULT.try_with(Clone::clone).unwrap_or(Ok(None))
}

tokio::task_local! {
    static DEFAULT: Result<Option<Duration>, Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_a_time_that_can_be_kept() {
        let second = Duration::from_secs(1);
        let rows = [
            (second.into_deadline(), Some(Some(second))),
            (1.into_deadline(), Some(Some(second))),
            (1u32.into_deadline(), Some(Some(second))),
            (1u64.into_deadline(), Some(Some(second))),
            (0.5.into_deadline(), Some(Some(second / 2))),
            (0.into_deadline(), Some(Some(Duration::ZERO))),
            (None.into_deadline(), Some(None)),
            ((-1).into_deadline(), None),
            ((-0.1).into_deadline(), None),
            (f64::NAN.into_deadline(), None),
            (f64::INFINITY.into_deadline(), None),
        ];
        for (found, expected) in rows {
            if let Err(error) = &found {
                assert_eq!(error.kind(), ErrorKind::InvalidRequest);
            }
            assert_eq!(found.ok(), expected);
        }
        assert!(
            (-1).into_deadline()
                .unwrap_err()
                .to_string()
                .starts_with("a deadline of -1 s cannot be kept")
        );
    }

    #[tokio::test]
    async fn the_default_is_of_a_part_of_a_task() {
        let seconds = Duration::from_secs;
        assert_eq!(get_default_fetch_deadline(), None);
        set_default_fetch_deadline(7, async {
            assert_eq!(get_default_fetch_deadline(), Some(seconds(7)));
            set_default_fetch_deadline(None, async {
                assert_eq!(get_default_fetch_deadline(), None);
            })
            .await;
            tokio::task::yield_now().await;
            assert_eq!(get_default_fetch_deadline(), Some(seconds(7)));
            let spawned = tokio::spawn(async { get_default_fetch_deadline() });
            assert_eq!(spawned.await.unwrap(), None);
        })
        .await;
        assert_eq!(get_default_fetch_deadline(), None);
    }
}
