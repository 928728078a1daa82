//! Each rule that the design marks is needed: without it the explorer finds the violation that the rule prevents.

use super::{
    explore,
    ghost::Wrong,
    hold,
    scene::Scene::{self, Ahead, Ending, FirstVisit, Fresh, Stale, TwoCookies},
    script::{
        COUNT, FETCH, FLASH, FORM, HALVES, LOGIN, LOGOUT, PUT, REFLASH, REGENERATE, SAVES, Script,
        TOKEN,
    },
};
use crate::lifecycle::rule::{Rule, without};

/// Where a rule is missed, with how many faults, and what then goes wrong.
const NEEDED: &[(Rule, Scene, &[Script], u8, Wrong)] = &[
    (Rule::LiveFirst, TwoCookies, &[PUT], 0, Wrong::LostUpdate),
    (Rule::R3, Fresh, &[FETCH], 1, Wrong::NeedlessFailure),
    (Rule::R8, Fresh, &[COUNT], 1, Wrong::AppliedTwice),
    (
        Rule::R8Marker,
        Fresh,
        &[COUNT, LOGIN],
        1,
        Wrong::AppliedTwice,
    ),
    (
        Rule::R8Forgotten,
        Fresh,
        &[COUNT, SAVES],
        1,
        Wrong::AppliedTwice,
    ),
    (Rule::R9, Fresh, &[PUT, LOGIN], 0, Wrong::LostUpdate),
    (
        Rule::R9Cookie,
        Stale,
        &[FORM, LOGIN],
        0,
        Wrong::CookieOfTheDead,
    ),
    (
        Rule::Left,
        Ahead,
        &[FETCH, FLASH, REFLASH],
        0,
        Wrong::FlashTwice,
    ),
    (Rule::R11, Fresh, &[LOGOUT, LOGIN], 0, Wrong::LogoutLeftLive),
    (Rule::R12, Fresh, &[PUT, LOGIN], 0, Wrong::LoginLost),
    (Rule::R12Own, Fresh, &[LOGIN, LOGIN], 0, Wrong::LoginLost),
    (
        Rule::R12Empty,
        FirstVisit,
        &[TOKEN, REGENERATE, HALVES],
        0,
        Wrong::LoginLost,
    ),
    (Rule::Expired, Ending, &[PUT], 0, Wrong::ExpiredAgain),
    (Rule::R13, Stale, &[FETCH, LOGIN], 0, Wrong::LoginLost),
    (Rule::Marker, Stale, &[FETCH, LOGIN], 0, Wrong::MarkerMoved),
    (Rule::Token, Fresh, &[TOKEN, TOKEN], 0, Wrong::ReaderWrote),
    (Rule::Birth, Fresh, &[FETCH, FLASH], 0, Wrong::FlashEaten),
];

#[test]
#[allow(clippy::print_stdout, reason = "the shortest traces are for reading")]
fn each_rule_is_missed() {
    for (rule, scene, scripts, faults, wrong) in NEEDED {
        hold(*scene, [*scripts].into_iter(), *faults);
        let found = without(*rule, || explore(*scene, scripts, *faults)).err();
        let found = found.unwrap_or_else(|| panic!("nobody misses {rule:?}"));
        println!("without {rule:?}, {} steps:\n{}", found.steps, found.trace);
        assert_eq!(found.violation.wrong, *wrong, "without {rule:?}");
    }
}
