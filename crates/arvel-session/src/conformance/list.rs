//! The one list of all checks, and what each of them needs.

use std::{fmt, pin::Pin, time::Duration};

use super::{
    Checked, Failure, Handle, Opener, Outcome, Report, declared, dropping, expiring, loading,
    markers, racing, replacing, saving, sharing, sweeping, touching,
};
use crate::store::Capabilities;

/// How long one check may take; a store that hangs is a failure with a name.
const LIMIT: Duration = Duration::from_secs(120);

type Running = Pin<Box<dyn Future<Output = Checked> + Send>>;

/// A declaration that keeps a check from applying, in words, and the check of that declaration.
type Refusal = (&'static str, fn(Handle) -> Running);

/// What a store must declare for a check to apply to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Nothing,
    ServerSide,
    Shared,
    AtomicReplace,
    Sweeps,
    NoSweeps,
}

impl Needs {
    fn refused(self, by: Capabilities) -> Option<Refusal> {
        match self {
            Self::Nothing => None,
            _ if !by.server_side => Some(("denies server_side", |handle| {
                Box::pin(declared::server_side_is_as_declared(handle))
            })),
            Self::Shared if !by.shared => Some(("denies shared", |handle| {
                Box::pin(declared::shared_is_as_declared(handle))
            })),
            Self::AtomicReplace if !by.atomic_replace => {
                Some(("denies atomic_replace", |handle| {
                    Box::pin(declared::atomic_replace_is_as_declared(handle))
                }))
            }
            Self::Sweeps if !by.sweeps => Some(("denies sweeps", |handle| {
                Box::pin(declared::sweeps_is_as_declared(handle))
            })),
            Self::NoSweeps if by.sweeps => Some(("declares sweeps", |handle| {
                Box::pin(declared::sweeps_is_as_declared(handle))
            })),
            _ => None,
        }
    }
}

/// One check of the contract.
pub struct Check {
    name: &'static str,
    needs: Needs,
    run: fn(Handle) -> Running,
}

impl Check {
    /// Its name: that of the function.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Checks this on a store, or that the store rightly denies what the check needs.
    ///
    /// # Errors
    /// The store breaks the contract, does not open, or takes too long.
    pub async fn run(&self, opener: &Opener) -> Checked {
        match tokio::time::timeout(LIMIT, self.run_for_long(opener)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::new(format!("not done after {LIMIT:?}"))),
        }
    }

    async fn run_for_long(&self, opener: &Opener) -> Checked {
        let handle = Handle::open(opener).await?;
        let Some((refusal, check_refusal)) = self.needs.refused(handle.capabilities()) else {
            return (self.run)(handle).await;
        };
        check_refusal(handle).await?;
        Ok(Outcome::NotApplicable(format!(
            "the store {refusal}, and that is so"
        )))
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check")
            .field("name", &self.name)
            .field("needs", &self.needs)
            .finish_non_exhaustive()
    }
}

/// Hands the list to another macro: a line is what the checks need, their module, and their names.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_checks {
    ($then:ident $($argument:tt)*) => {
        $crate::$then! { [$($argument)*]
            Nothing declared: capabilities_do_not_change server_side_is_as_declared shared_is_as_declared
                persistent_is_as_declared atomic_replace_is_as_declared sweeps_is_as_declared
                the_largest_record_is_kept larger_records_are_refused;
            Nothing loading: unknown_keys_load_nothing bodies_come_back_exactly revisions_come_back_exactly
                expiries_come_back_exactly expired_records_are_themselves_or_nothing;
            ServerSide loading: keys_one_bit_apart_are_apart payloads_are_not_believed columns_never_spoil_a_save
                many_records_at_once;
            ServerSide saving: a_new_record_overwrites_nothing a_save_at_the_revision_takes_its_place
                a_save_at_another_revision_conflicts a_save_at_a_revision_creates_nothing
                a_save_sent_twice_conflicts_with_itself durable_writes_are_writes;
            Sweeps saving: expired_records_count_as_present;
            ServerSide markers: markers_come_back_exactly a_marker_is_never_overwritten
                a_marker_of_revision_zero_is_a_marker;
            AtomicReplace replacing: a_replace_does_both a_replace_at_another_revision_does_neither
                a_replace_of_nothing_does_neither a_replace_of_a_marker_does_neither
                a_replace_sent_twice_meets_its_marker;
            ServerSide touching: a_touch_moves_the_expiry_alone a_touch_creates_nothing a_touch_leaves_markers_alone;
            Sweeps sweeping: a_sweep_removes_what_has_expired a_sweep_leaves_what_lives a_sweep_is_bounded_and_counts
                a_sweep_of_nothing_answers_zero a_sweep_goes_by_the_last_expiry a_sweep_never_takes_what_was_renewed;
            NoSweeps expiring: what_expires_goes_by_itself what_was_given_more_time_stays;
            ServerSide racing: one_of_many_saves_wins no_increment_is_lost a_touch_never_undoes_a_save
                a_load_never_sees_half_a_save;
            AtomicReplace racing: one_of_many_replaces_wins a_save_and_a_replace_never_both_win
                a_marker_is_never_seen_before_its_successor;
            Shared sharing: what_is_done_is_visible_everywhere a_replace_is_visible_everywhere
                one_of_many_saves_wins_between_handles no_increment_is_lost_between_handles;
            ServerSide dropping: a_dropped_save_is_all_or_nothing a_dropped_load_mixes_nothing_up;
            AtomicReplace dropping: a_dropped_replace_is_all_or_nothing;
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_table {
    ([] $($needs:ident $module:ident: $($check:ident)+;)+) => {
        &[$($(Check {
            name: stringify!($check),
            needs: Needs::$needs,
            run: |handle| Box::pin($module::$check(handle)),
        }),+),+]
    };
}

/// All checks, in the order in which [`run`] runs them.
pub const CHECKS: &[Check] = crate::__conformance_checks!(__conformance_table);

/// Runs every check, one after the other.
///
/// Needs a tokio runtime, of any kind, with its timer, and whatever else the store needs.
pub async fn run(opener: &Opener) -> Report {
    let opened = Handle::open(opener).await.ok();
    let mut report = Report {
        capabilities: opened.map(|handle| handle.capabilities()),
        ..Report::default()
    };
    for check in CHECKS {
        report.lines.push((check.name, check.run(opener).await));
    }
    report
}
