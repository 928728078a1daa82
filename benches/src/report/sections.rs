//! The sections of the document that are written from figures, by their marks.

use crate::{
    case::Case,
    content::SIZES,
    figures::{Curve, Figures},
    table, tables,
};

/// Every section, by its mark.
pub(super) fn all(figures: &Figures) -> Vec<(&'static str, String)> {
    vec![
        ("machine", machine(figures)),
        ("in-process", requests(figures)),
        ("instructions", instructions(figures)),
        ("stores", stores(figures)),
        ("hot", tables::hots(&figures.hot)),
        ("many", tables::many(&figures.many)),
        ("growth", curves(figures)),
        ("sockets", tables::sockets(&figures.sockets)),
    ]
}

fn machine(figures: &Figures) -> String {
    let machine = &figures.machine;
    format!(
        "{}, {} cores, {}\n",
        machine.processor, machine.cores, machine.system
    )
}

fn requests(figures: &Figures) -> String {
    let mut text = String::new();
    for size in SIZES {
        for case in Case::ALL {
            let of = |one: &&_| is_of(one, size, case);
            let requests = figures.in_process.iter().filter(of);
            text += &format!("\n{}, a session of {size} B:\n\n", case.title());
            text += &tables::requests(requests);
        }
    }
    text + "\n"
}

fn is_of(one: &crate::figures::Request, size: usize, case: Case) -> bool {
    one.session == size && one.case == case
}

fn instructions(figures: &Figures) -> String {
    let lines = figures.instructions.iter();
    let row = |(name, count): (&String, &u64)| vec![name.clone(), table::thousands(*count as f64)];
    let rows: Vec<_> = lines.map(row).collect();
    table::render(&["a request", "instructions"], &rows)
}

fn stores(figures: &Figures) -> String {
    let mut text = String::new();
    let mut titles: Vec<(&str, Case)> = Vec::new();
    for measured in &figures.stores {
        let title = (measured.store.as_str(), measured.case);
        if titles.contains(&title) {
            continue;
        }
        titles.push(title);
        let of_it = figures.stores.iter();
        let of_it = of_it.filter(|one| (one.store.as_str(), one.case) == title);
        let (store, case, at_once) = (title.0, title.1.title(), measured.concurrency);
        text += &format!("\n{store}, {case}, {at_once} at once:\n\n");
        text += &tables::throughputs(of_it);
    }
    text + "\n"
}

fn curves(figures: &Figures) -> String {
    let mut text = String::new();
    for curve in Curve::ALL {
        let file = curve.file();
        text += &format!("\n![{}]({file})\n\n", curve.title());
        text += &tables::curve(&figures.growth, curve);
    }
    text + "\n"
}
