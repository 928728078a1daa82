//! Figures as tables, for the terminal and for the document.

use crate::{
    case::Case,
    figures::{Curve, Hot, Many, Point, Request, Socket, Throughput},
    table,
};

/// What a request costs in process.
pub fn requests<'a>(figures: impl IntoIterator<Item = &'a Request>) -> String {
    let header = [
        "a request",
        "ns",
        "p25 … p75",
        "overhead",
        "× ours",
        "allocations",
        "bytes",
    ];
    let rows: Vec<_> = figures.into_iter().map(request_row).collect();
    table::render(&header, &rows)
}

fn request_row(request: &Request) -> Vec<String> {
    let ns = &request.ns;
    vec![
        request.contender.clone(),
        table::thousands(ns.median),
        format!(
            "{} … {}",
            table::thousands(ns.p25),
            table::thousands(ns.p75)
        ),
        table::thousands(request.overhead_ns),
        table::times(request.times_ours),
        format!("{:.1}", request.allocations),
        table::thousands(request.allocated_bytes),
    ]
}

/// What gets done in one place.
pub fn throughputs<'a>(figures: impl IntoIterator<Item = &'a Throughput>) -> String {
    let header = ["who", "a second", "p25 … p75", "p50 µs", "p99 µs", "ours ×"];
    let rows: Vec<_> = figures.into_iter().map(throughput_row).collect();
    table::render(&header, &rows)
}

fn throughput_row(measured: &Throughput) -> Vec<String> {
    let per_second = &measured.per_second;
    vec![
        measured.contender.clone(),
        table::thousands(per_second.median),
        format!(
            "{} … {}",
            table::thousands(per_second.p25),
            table::thousands(per_second.p75)
        ),
        table::thousands(measured.p50_us),
        table::thousands(measured.p99_us),
        table::times(measured.ours_times),
    ]
}

/// One hot session in each place.
pub fn hots<'a>(figures: impl IntoIterator<Item = &'a Hot>) -> String {
    let header = [
        "store",
        "writers",
        "one session, a second",
        "a session each, a second",
        "×",
        "p99 µs",
        "p99 µs, a session each",
    ];
    let rows: Vec<_> = figures.into_iter().map(hot_row).collect();
    table::render(&header, &rows)
}

fn hot_row(hot: &Hot) -> Vec<String> {
    vec![
        hot.store.clone(),
        hot.writers.to_string(),
        table::thousands(hot.one_per_second),
        table::thousands(hot.each_per_second),
        table::times(Some(hot.each_per_second / hot.one_per_second)),
        table::thousands(hot.one_p99_us),
        table::thousands(hot.each_p99_us),
    ]
}

/// Very many sessions in each place.
pub fn many<'a>(figures: impl IntoIterator<Item = &'a Many>) -> String {
    let header = [
        "store",
        "sessions",
        "made in s",
        "process, bytes each",
        "swept in s",
        "read p99 µs",
        "during the sweep",
        "×",
        "reads a second, alone … during",
    ];
    let rows: Vec<_> = figures.into_iter().map(many_row).collect();
    table::render(&header, &rows)
}

fn many_row(many: &Many) -> Vec<String> {
    let scale = &many.scale;
    vec![
        many.store.clone(),
        table::thousands(scale.sessions as f64),
        format!("{:.1}", scale.making_seconds),
        table::thousands(scale.process_bytes_each),
        format!("{:.2}", scale.sweep_seconds),
        table::thousands(scale.read_p99_us),
        table::thousands(scale.sweeping_read_p99_us),
        table::times(Some(scale.sweeping_read_p99_us / scale.read_p99_us)),
        format!(
            "{} … {}",
            table::thousands(scale.reads_per_second),
            table::thousands(scale.sweeping_reads_per_second)
        ),
    ]
}

/// Requests a second over sockets.
pub fn sockets<'a>(figures: impl IntoIterator<Item = &'a Socket>) -> String {
    let header = ["driver", "without the layer", "with it", "part"];
    let rows: Vec<_> = figures.into_iter().map(socket_row).collect();
    table::render(&header, &rows)
}

fn socket_row(socket: &Socket) -> Vec<String> {
    vec![
        socket.driver.clone(),
        table::thousands(socket.without.median),
        table::thousands(socket.with.median),
        format!("{:.1} %", 100.0 * socket.part),
    ]
}

/// A curve as a table: a line for each contender and case, a column for each `x`.
pub fn curve(points: &[Point], curve: Curve) -> String {
    let points: Vec<&Point> = points.iter().filter(|point| point.curve == curve).collect();
    let mut columns: Vec<usize> = points.iter().map(|point| point.x).collect();
    columns.sort_unstable();
    columns.dedup();
    let mut lines: Vec<(String, Case)> = Vec::new();
    for point in &points {
        let line = (point.line(), point.case);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    let cell = |line: &(String, Case), x: usize| {
        let found = points
            .iter()
            .find(|point| (point.line(), point.case) == *line && point.x == x);
        found.map_or("-".to_owned(), |point| table::thousands(point.y))
    };
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let mut row = vec![format!("{}, {}", line.0, line.1.title())];
            row.extend(columns.iter().map(|x| cell(line, *x)));
            row
        })
        .collect();
    let mut header = vec![curve.unit().to_owned()];
    header.extend(columns.iter().map(|x| table::thousands(*x as f64)));
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    table::render(&header, &rows)
}
