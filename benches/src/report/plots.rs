//! The plots: one SVG for each curve, reading on the left, reading and writing on the right.

use std::{fs, path::Path};

use anyhow::{Result, anyhow};
use plotters::{
    backend::SVGBackend,
    chart::{ChartBuilder, SeriesLabelPosition},
    coord::Shift,
    drawing::{DrawingArea, IntoDrawingArea},
    element::{Circle, PathElement},
    prelude::IntoLogRange,
    series::LineSeries,
    style::{BLACK, Color, Palette, Palette99, WHITE},
};

use crate::{
    case::Case,
    figures::{Curve, Point},
    table,
};

const WIDTH: u32 = 1200;
const HEIGHT: u32 = 520;

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
    let plain = |error: plotters::drawing::DrawingAreaErrorKind<_>| anyhow!("{error}");
    area.fill(&WHITE).map_err(plain)?;
    let halves = area.split_evenly((1, 2));
    for (half, case) in halves.iter().zip([Case::Read, Case::ReadWrite]) {
        let of_it: Vec<&Point> = points
            .iter()
            .copied()
            .filter(|one| one.case == case)
            .collect();
        if !of_it.is_empty() {
            panel(half, curve, case, &of_it)?;
        }
    }
    area.present().map_err(plain)
}

/// Both axes are logarithmic.
fn panel(area: &Area<'_>, curve: Curve, case: Case, points: &[&Point]) -> Result<()> {
    let plain = |error: plotters::drawing::DrawingAreaErrorKind<_>| anyhow!("{error}");
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
    let mut names: Vec<String> = points.iter().map(|point| point.line()).collect();
    names.dedup();
    names.sort_unstable();
    names.dedup();
    for (index, name) in names.iter().enumerate() {
        let color = Palette99::pick(index).to_rgba();
        let line = points.iter().filter(|point| point.line() == *name);
        let line: Vec<(f64, f64)> = line.map(|point| (point.x as f64, point.y)).collect();
        let dots = line
            .iter()
            .map(|point| Circle::new(*point, 3, color.filled()));
        chart.draw_series(dots).map_err(plain)?;
        chart
            .draw_series(LineSeries::new(line, color.stroke_width(2)))
            .map_err(plain)?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
    }
    let mut labels = chart.configure_series_labels();
    labels.position(SeriesLabelPosition::UpperLeft);
    labels
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2));
    labels.draw().map_err(plain)
}

fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::MAX, f64::MIN), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}
