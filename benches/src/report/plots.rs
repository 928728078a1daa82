//! The plots: one SVG for each curve, reading on the left, reading and writing on the right.

use std::{fs, path::Path};

use anyhow::{Result, anyhow};
use plotters::{
    backend::SVGBackend,
    chart::ChartBuilder,
    coord::Shift,
    drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea},
    element::{Circle, PathElement, Text},
    prelude::IntoLogRange,
    series::LineSeries,
    style::{Color, Palette, Palette99, RGBAColor, WHITE},
};

use crate::{
    case::Case,
    figures::{Curve, Point},
    table,
};

const WIDTH: u32 = 1400;
const HEIGHT: u32 = 520;
/// The part on the right that says which line is whose.
const LEGEND: u32 = 260;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws every curve that has points into this folder.
pub(super) fn draw(points: &[Point], folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for curve in Curve::ALL {
        let points: Vec<&Point> = points.iter().filter(|point| point.curve == curve).collect();
        if points.is_empty() {
            continue;
        }
        let name = Path::new(curve.file()).file_name().unwrap_or_default();
        let file = folder.join(name);
        let area = SVGBackend::new(&file, (WIDTH, HEIGHT)).into_drawing_area();
        paint(&area, curve, &points).map_err(|error| anyhow!("{}: {error}", file.display()))?;
    }
    Ok(())
}

fn paint(area: &Area<'_>, curve: Curve, points: &[&Point]) -> Result<()> {
    area.fill(&WHITE).map_err(plain)?;
    let (panels, legend) = area.split_horizontally(WIDTH - LEGEND);
    let mut names: Vec<String> = points.iter().map(|point| point.line()).collect();
    names.sort_unstable();
    names.dedup();
    for (half, case) in panels
        .split_evenly((1, 2))
        .iter()
        .zip([Case::Read, Case::ReadWrite])
    {
        let of_it: Vec<&Point> = points
            .iter()
            .copied()
            .filter(|one| one.case == case)
            .collect();
        if !of_it.is_empty() {
            panel(half, curve, case, &of_it, &names)?;
        }
    }
    for (index, name) in names.iter().enumerate() {
        let y = 60 + 22 * i32::try_from(index)?;
        let line = PathElement::new([(0, y), (18, y)], color(index).stroke_width(2));
        legend.draw(&line).map_err(plain)?;
        let text = Text::new(name.clone(), (24, y - 6), ("sans-serif", 13));
        legend.draw(&text).map_err(plain)?;
    }
    area.present().map_err(plain)
}

fn color(index: usize) -> RGBAColor {
    Palette99::pick(index).to_rgba()
}

fn plain(error: DrawingAreaErrorKind<std::io::Error>) -> anyhow::Error {
    anyhow!("{error}")
}

/// Both axes are logarithmic.
fn panel(
    area: &Area<'_>,
    curve: Curve,
    case: Case,
    points: &[&Point],
    names: &[String],
) -> Result<()> {
    let xs = bounds(points.iter().map(|point| point.x as f64));
    let ys = bounds(points.iter().map(|point| point.y));
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .caption(case.title(), ("sans-serif", 18))
        .x_label_area_size(44)
        .y_label_area_size(84)
        .build_cartesian_2d(
            (xs.0..xs.1 * 1.05).log_scale(),
            (ys.0 * 0.8..ys.1 * 1.25).log_scale(),
        )
        .map_err(plain)?;
    let label = |value: &f64| table::thousands(*value);
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(curve.title()).y_desc(curve.unit());
    mesh.x_label_formatter(&label).y_label_formatter(&label);
    mesh.light_line_style(WHITE.mix(0.0))
        .draw()
        .map_err(plain)?;
    for (index, name) in names.iter().enumerate() {
        let line = points.iter().filter(|point| point.line() == *name);
        let line: Vec<(f64, f64)> = line.map(|point| (point.x as f64, point.y)).collect();
        let dots = line
            .iter()
            .map(|point| Circle::new(*point, 3, color(index).filled()));
        chart.draw_series(dots).map_err(plain)?;
        let line = LineSeries::new(line, color(index).stroke_width(2));
        chart.draw_series(line).map_err(plain)?;
    }
    Ok(())
}

fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::MAX, f64::MIN), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}
