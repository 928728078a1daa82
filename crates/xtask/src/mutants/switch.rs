//! Puts all mutants of a file into it at once, each behind a switch.
//!
//! Text is only put in, never taken out, and no line break with it: what the compiler says of a line is of that line.

use std::collections::HashMap;
use std::ops::Range;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Arm, BinOp, Expr, ExprBinary, ExprUnary};

use super::list::{Genre, Mutant};

/// A file with its mutants in it.
pub(super) struct Switched {
    pub(super) text: String,
    /// Where what was put in is, and for which mutant.
    pub(super) pieces: Vec<(Range<usize>, usize)>,
    /// The mutants that no switch can make.
    pub(super) apart: Vec<usize>,
}

/// Text to be put in. What is around more goes outside.
struct Piece {
    at: usize,
    opens: bool,
    around: usize,
    mutant: usize,
    text: String,
}

/// The places at which a mutant can be, by where they begin.
#[derive(Default)]
struct Places {
    /// By their operators: the whole, the left and the right side.
    binaries: HashMap<usize, [Range<usize>; 3]>,
    /// By their operators: the whole and the operand.
    unaries: HashMap<usize, [Range<usize>; 2]>,
    guards: HashMap<usize, Range<usize>>,
    /// Where the pattern ends, and the guard.
    arms: HashMap<usize, (usize, Option<Range<usize>>)>,
}

/// Puts these mutants in.
pub(super) fn switch(text: &str, mutants: &[&Mutant]) -> syn::Result<Switched> {
    let mut places = Places::default();
    places.visit_file(&syn::parse_file(text)?);
    let mut pieces = Vec::new();
    let mut apart = Vec::new();
    for mutant in mutants {
        let made = offset(text, mutant.line, mutant.column)
            .and_then(|at| places.pieces(text, mutant, at))
            .filter(|made| made.iter().all(|piece| is_plain(&piece.text)));
        match made {
            Some(made) => pieces.extend(made),
            None => apart.push(mutant.number),
        }
    }
    pieces.sort_by_key(Piece::place);
    Ok(assemble(text, &pieces, apart))
}

/// Whether text can be written in one line.
fn is_plain(text: &str) -> bool {
    !text.contains("//") && !text.contains('\n')
}

fn assemble(text: &str, pieces: &[Piece], apart: Vec<usize>) -> Switched {
    let mut switched = Switched {
        text: String::with_capacity(2 * text.len()),
        pieces: Vec::new(),
        apart,
    };
    let mut done = 0;
    for piece in pieces {
        switched.text.push_str(&text[done..piece.at]);
        done = piece.at;
        let start = switched.text.len();
        switched.text.push_str(&piece.text);
        let put = start..switched.text.len();
        switched.pieces.push((put, piece.mutant));
    }
    switched.text.push_str(&text[done..]);
    switched
}

/// The place in the text of a line and a column, counted from one.
fn offset(text: &str, line: usize, column: usize) -> Option<usize> {
    let start = match line.checked_sub(2) {
        None => 0,
        Some(before) => text.match_indices('\n').nth(before)?.0 + 1,
    };
    let (into, _) = text[start..].char_indices().nth(column.checked_sub(1)?)?;
    Some(start + into)
}

impl Piece {
    /// Pieces that are put in at the same place: what closes comes before what opens, the innermost first.
    fn place(&self) -> (usize, bool, isize, isize) {
        let sign = if self.opens { -1 } else { 1 };
        let (around, mutant) = (self.around.cast_signed(), self.mutant.cast_signed());
        (self.at, self.opens, sign * around, sign * mutant)
    }
}

/// Puts one piece before, one behind this.
fn wrap(mutant: usize, inside: &Range<usize>, before: String, behind: &str) -> Vec<Piece> {
    let piece = |at, opens, text| Piece {
        at,
        opens,
        around: inside.len(),
        mutant,
        text,
    };
    vec![
        piece(inside.start, true, before),
        piece(inside.end, false, behind.to_owned()),
    ]
}

/// One thing instead of another, where the mutant is switched on.
fn either(mutant: usize, whole: &Range<usize>, instead: &str) -> Vec<Piece> {
    let instead = one_line(instead);
    let before = format!("(if {} {{ {instead} }} else {{ ", on(mutant));
    wrap(mutant, whole, before, " })")
}

fn on(mutant: usize) -> String {
    format!("crate::mutants::on({mutant})")
}

/// Joins lines, but not with what a comment would swallow.
fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.join(" ")
}

impl Places {
    /// What makes a mutant switchable; nothing where that is not known.
    fn pieces(&self, text: &str, mutant: &Mutant, at: usize) -> Option<Vec<Piece>> {
        let (number, instead) = (mutant.number, mutant.replacement.as_str());
        match mutant.genre {
            Genre::FnValue => Some(vec![Piece {
                at,
                opens: true,
                around: usize::MAX >> 1,
                mutant: number,
                text: format!("if {} {{ return {}; }} ", on(number), one_line(instead)),
            }]),
            Genre::BinaryOperator => {
                let [whole, left, right] = self.binaries.get(&at)?.clone();
                let (left, right) = (&text[left], &text[right]);
                Some(either(number, &whole, &format!("{left} {instead} {right}")))
            }
            Genre::UnaryOperator => {
                let [whole, operand] = self.unaries.get(&at)?.clone();
                Some(either(number, &whole, &text[operand]))
            }
            Genre::MatchArmGuard => Some(either(number, self.guards.get(&at)?, instead)),
            Genre::MatchArm => match self.arms.get(&at)? {
                (_, Some(guard)) => Some(wrap(number, guard, format!("!{} && (", on(number)), ")")),
                (end, None) => Some(vec![Piece {
                    at: *end,
                    opens: false,
                    around: 0,
                    mutant: number,
                    text: format!(" if !{}", on(number)),
                }]),
            },
            Genre::Other => None,
        }
    }
}

fn range(node: &impl Spanned) -> Range<usize> {
    node.span().byte_range()
}

/// Whether a condition binds names, so that it cannot be part of a larger expression.
fn binds(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) if matches!(binary.op, BinOp::And(_)) => {
            binds(&binary.left) || binds(&binary.right)
        }
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Places {
    fn visit_expr_binary(&mut self, node: &'ast ExprBinary) {
        if !binds(&node.left) && !binds(&node.right) {
            let sides = [range(node), range(&node.left), range(&node.right)];
            self.binaries.insert(range(&node.op).start, sides);
        }
        visit::visit_expr_binary(self, node);
    }

    fn visit_expr_unary(&mut self, node: &'ast ExprUnary) {
        let parts = [range(node), range(&node.expr)];
        self.unaries.insert(range(&node.op).start, parts);
        visit::visit_expr_unary(self, node);
    }

    fn visit_arm(&mut self, node: &'ast Arm) {
        let guard = node.guard.as_ref().map(|(_, guard)| guard);
        let guard = guard.filter(|guard| !binds(guard)).map(range);
        if let Some(guard) = &guard {
            self.guards.insert(guard.start, guard.clone());
        }
        if guard.is_some() == node.guard.is_some() {
            let end = range(&node.pat).end;
            self.arms.insert(range(node).start, (end, guard));
        }
        visit::visit_arm(self, node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(number: usize, genre: Genre, place: (usize, usize), replacement: &str) -> Mutant {
        Mutant {
            number,
            name: String::new(),
            file: String::new(),
            genre,
            line: place.0,
            column: place.1,
            replacement: replacement.to_owned(),
            function: (1, 1),
            returns: String::new(),
        }
    }

    fn switched(text: &str, mutants: &[Mutant]) -> Switched {
        let switched = switch(text, &mutants.iter().collect::<Vec<_>>()).unwrap();
        for (piece, number) in &switched.pieces {
            let piece = &switched.text[piece.clone()];
            assert!(piece.contains(&format!("on({number})")) || [" })", ")"].contains(&piece));
        }
        switched
    }

    #[test]
    fn each_mutant_is_behind_its_switch_and_the_rest_is_as_it_was() {
        let text = "fn f(a: u8, b: u8) -> bool {\n    !(a + 1 < b)\n}\n";
        let mutants = [
            mutant(1, Genre::FnValue, (2, 5), "true"),
            mutant(2, Genre::UnaryOperator, (2, 5), ""),
            mutant(3, Genre::BinaryOperator, (2, 13), "=="),
            mutant(4, Genre::BinaryOperator, (2, 9), "-"),
        ];
        assert_eq!(
            switched(text, &mutants).text,
            "fn f(a: u8, b: u8) -> bool {\n    if crate::mutants::on(1) { return true; } \
             (if crate::mutants::on(2) { (a + 1 < b) } else { \
             !((if crate::mutants::on(3) { a + 1 == b } else { \
             (if crate::mutants::on(4) { a - 1 } else { a + 1 }) < b })) })\n}\n"
        );
    }

    #[test]
    fn an_arm_goes_by_a_guard() {
        let text = "fn f(a: u8) -> u8 {\n    match a {\n        1 => 2,\n        b if b > 3 => 4,\n        _ => 5,\n    }\n}\n";
        let mutants = [
            mutant(1, Genre::MatchArm, (3, 9), ""),
            mutant(2, Genre::MatchArm, (4, 9), ""),
            mutant(3, Genre::MatchArmGuard, (4, 14), "true"),
        ];
        let text = switched(text, &mutants).text;
        assert!(text.contains("1 if !crate::mutants::on(1) => 2"), "{text}");
        let arm = "b if (if crate::mutants::on(3) { true } else { !crate::mutants::on(2) && (b > 3) }) => 4";
        assert!(text.contains(arm), "{text}");
    }

    #[test]
    fn what_cannot_be_behind_a_switch_is_left_apart() {
        let text = "fn f(a: Option<u8>) -> bool {\n    if let Some(b) = a && b > 1 { true } else { false }\n}\n";
        let mutants = [mutant(1, Genre::BinaryOperator, (2, 24), "||")];
        let switched = switched(text, &mutants);
        assert_eq!((&*switched.text, switched.apart), (text, vec![1]));
    }
}
