//! Axes, lines, bars and text, on logarithmic scales. Lengths are in pixels of the picture.

use plotters::coord::Shift;
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::prelude::{DrawingArea, IntoDrawingArea, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, IntoFont, RGBColor, ShapeStyle, TextStyle, WHITE};

use super::Result;
use super::style::{Style, styles};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Point = (i32, i32);

const INK: RGBColor = RGBColor(40, 40, 40);
const FAINT: RGBColor = RGBColor(110, 110, 110);
const GRID: RGBColor = RGBColor(225, 225, 225);
const WIDTH: i32 = 980;
const MARGIN: i32 = 24;
/// From one row of bars to the next.
const ROW: i32 = 22;
/// What a label in front of a row may take.
const LABELS: i32 = 340;

/// What an axis counts.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    Bytes,
    Count,
    Entries,
    Nanos,
    Rate,
}

impl Unit {
    /// With three digits at most.
    fn text(self, value: f64) -> String {
        match self {
            Unit::Bytes => {
                let power = (value.log2() / 10.0).floor().clamp(0.0, 4.0);
                scaled(value / 1024_f64.powf(power), ["B", "KiB", "MiB", "GiB", "TiB"][power as usize])
            }
            Unit::Count => format!("{value:.0}"),
            Unit::Entries => decimal(value, ["", "K", "M", "G"]),
            Unit::Nanos => decimal(value, ["ns", "µs", "ms", "s"]),
            Unit::Rate => decimal(value, ["/s", "k/s", "M/s", "G/s"]),
        }
    }
}

fn decimal(value: f64, units: [&str; 4]) -> String {
    let power = (value.log10() / 3.0 + 1e-9).floor().clamp(0.0, 3.0);
    scaled(value / 1000_f64.powf(power), units[power as usize])
}

fn scaled(value: f64, unit: &str) -> String {
    if value.fract() < 1e-6 || value >= 99.5 {
        format!("{value:.0} {unit}")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// An axis by name and unit.
#[derive(Clone, Copy)]
pub(super) struct Axis<'a> {
    pub(super) name: &'a str,
    pub(super) unit: Unit,
}

/// An engine's line.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) label: String,
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// Rows under one title.
pub(super) struct Panel<T> {
    pub(super) title: String,
    pub(super) rows: Vec<Row<T>>,
}

/// An engine's row.
pub(super) struct Row<T> {
    pub(super) label: String,
    pub(super) name: String,
    pub(super) what: T,
}

/// A bar of this length.
pub(super) struct Bar(pub(super) f64);
/// Points on one line, the first first.
pub(super) struct Dots(pub(super) Vec<f64>);

/// A logarithmic scale from whole powers to whole powers.
struct Scale {
    start: f64,
    end: f64,
    pixels: [i32; 2],
    base: f64,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64> + Clone, base: f64, pixels: [i32; 2]) -> Self {
        let power = |value: f64| value.max(1e-3).log(base);
        let start = values.clone().map(power).fold(f64::INFINITY, f64::min);
        let end = values.map(power).fold(f64::NEG_INFINITY, f64::max);
        Scale {
            start: (start + 1e-9).floor(),
            end: (end - 1e-9).ceil().max(start.floor() + 1.0),
            pixels,
            base,
        }
    }

    fn at(&self, value: f64) -> i32 {
        let share = (value.max(1e-3).log(self.base) - self.start) / (self.end - self.start);
        self.pixels[0] + (share * f64::from(self.pixels[1] - self.pixels[0])).round() as i32
    }

    /// Powers, as far apart as that.
    fn powers(&self, pixels: i32) -> Vec<f64> {
        let room = (self.pixels[1] - self.pixels[0]).abs() / pixels;
        let step = ((self.end - self.start) / f64::from(room.max(1))).ceil().max(1.0);
        let count = ((self.end - self.start) / step).floor() as usize;
        (0..=count).map(|tick| self.base.powf(self.start + tick as f64 * step)).collect()
    }

    /// The values themselves, where there is room for a label each, else powers.
    fn ticks(&self, values: impl Iterator<Item = f64>) -> Vec<f64> {
        let mut values: Vec<_> = values.collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        let is_roomy = values.windows(2).all(|pair| (self.at(pair[1]) - self.at(pair[0])).abs() >= 38);
        if is_roomy { values } else { self.powers(64) }
    }
}

fn text(area: &Area<'_>, at: Point, (size, color): (i32, RGBColor), anchor: Pos, text: &str) -> Result<()> {
    let style = TextStyle::from(("sans-serif", size).into_font()).color(&color).pos(anchor);
    area.draw(&Text::new(text.to_owned(), at, style))?;
    Ok(())
}

fn line(area: &Area<'_>, points: &[Point], color: RGBColor, width: u32) -> Result<()> {
    area.draw(&PathElement::new(points.to_vec(), color.stroke_width(width)))?;
    Ok(())
}

/// One of five shapes.
fn marker(area: &Area<'_>, (x, y): Point, style: Style) -> Result<()> {
    let filled: ShapeStyle = style.color.filled();
    let polygon = |points: &[Point]| {
        Polygon::new(points.iter().map(|(dx, dy)| (x + dx, y + dy)).collect::<Vec<_>>(), filled)
    };
    match style.shape % 5 {
        0 => area.draw(&Circle::new((x, y), 4, filled))?,
        1 => area.draw(&polygon(&[(-4, -4), (4, -4), (4, 4), (-4, 4)]))?,
        2 => area.draw(&polygon(&[(0, -5), (5, 4), (-5, 4)]))?,
        3 => area.draw(&polygon(&[(0, -6), (6, 0), (0, 6), (-6, 0)]))?,
        _ => area.draw(&polygon(&[(0, 5), (5, -4), (-5, -4)]))?,
    }
    Ok(())
}

const LEFT: Pos = Pos { h_pos: HPos::Left, v_pos: VPos::Center };
const RIGHT: Pos = Pos { h_pos: HPos::Right, v_pos: VPos::Center };
const BELOW: Pos = Pos { h_pos: HPos::Center, v_pos: VPos::Top };
const CENTER: Pos = Pos { h_pos: HPos::Center, v_pos: VPos::Center };

/// A picture of this height: paper, title and foot; what lies between is drawn by `inside`.
fn picture(
    height: i32,
    title: &str,
    foot: &str,
    inside: impl FnOnce(&Area<'_>) -> Result<()>,
) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
        area.fill(&WHITE)?;
        text(&area, (MARGIN, MARGIN), (20, INK), LEFT, title)?;
        text(&area, (MARGIN, height - 14), (12, FAINT), LEFT, foot)?;
        inside(&area)?;
        area.present()?;
    }
    Ok(svg)
}

/// The ticks of a horizontal scale, below, with the axis' name.
fn below(
    area: &Area<'_>,
    scale: &Scale,
    ticks: &[f64],
    axis: Axis<'_>,
    [top, bottom]: [i32; 2],
) -> Result<()> {
    for &tick in ticks {
        line(area, &[(scale.at(tick), top), (scale.at(tick), bottom)], GRID, 1)?;
        text(area, (scale.at(tick), bottom + 7), (14, INK), BELOW, &axis.unit.text(tick))?;
    }
    let middle = (scale.pixels[0] + scale.pixels[1]) / 2;
    text(area, (middle, bottom + 28), (14, INK), BELOW, axis.name)
}

/// Lines on two logarithmic scales, with a legend behind them.
pub(super) fn lines(title: &str, x: Axis<'_>, y: Axis<'_>, lines: &[Line], foot: &str) -> Result<String> {
    let (top, bottom, left, right) = (60, 470, 100, 640);
    let height = (bottom + 90).max(top + ROW * lines.len() as i32 + 60);
    let points = || lines.iter().flat_map(|line| &line.points);
    let base = if matches!(x.unit, Unit::Nanos | Unit::Rate | Unit::Entries) { 10.0 } else { 2.0 };
    let across = Scale::of(points().map(|point| point.0), base, [left, right]);
    let up = Scale::of(points().map(|point| point.1), 10.0, [bottom, top]);
    let ticks = across.ticks(points().map(|point| point.0));
    let styles = styles(lines.iter().map(|line| line.name.as_str()));
    picture(height, title, foot, |area| {
        below(area, &across, &ticks, x, [top, bottom])?;
        for tick in up.powers(34) {
            line(area, &[(left, up.at(tick)), (right, up.at(tick))], GRID, 1)?;
            text(area, (left - 8, up.at(tick)), (14, INK), RIGHT, &y.unit.text(tick))?;
        }
        line(area, &[(left, top), (left, bottom), (right, bottom)], INK, 1)?;
        let turned = TextStyle::from(("sans-serif", 14).into_font().transform(FontTransform::Rotate270));
        area.draw(&Text::new(
            y.name.to_owned(),
            (MARGIN, (top + bottom) / 2),
            turned.color(&INK).pos(CENTER),
        ))?;
        for (index, (series, &style)) in lines.iter().zip(&styles).enumerate() {
            let at: Vec<_> = series.points.iter().map(|&(x, y)| (across.at(x), up.at(y))).collect();
            line(area, &at, style.color, 2)?;
            at.iter().try_for_each(|&point| marker(area, point, style))?;
            let y = top + 8 + ROW * index as i32;
            line(area, &[(right + 20, y), (right + 46, y)], style.color, 2)?;
            marker(area, (right + 33, y), style)?;
            text(area, (right + 54, y), (14, INK), LEFT, &series.label)?;
        }
        Ok(())
    })
}

/// Panels of rows, one below the other, on one logarithmic scale. `draw` draws a row at a height.
fn rows<T>(
    (title, foot): (&str, &str),
    axis: Axis<'_>,
    panels: &[Panel<T>],
    scale: &Scale,
    legend: i32,
    draw: impl Fn(&Area<'_>, i32, &T, Style) -> Result<()>,
    head: impl FnOnce(&Area<'_>) -> Result<()>,
) -> Result<String> {
    let top = 52 + legend;
    let len = |panel: &Panel<T>| 34 + ROW * panel.rows.len() as i32;
    let bottom = top + panels.iter().map(len).sum::<i32>();
    picture(bottom + 90, title, foot, |area| {
        head(area)?;
        below(area, scale, &scale.powers(64), axis, [top, bottom])?;
        let mut y = top;
        for panel in panels {
            text(area, (MARGIN, y + 20), (15, INK), LEFT, &panel.title)?;
            let styles = styles(panel.rows.iter().map(|row| row.name.as_str()));
            for (index, (row, &style)) in panel.rows.iter().zip(&styles).enumerate() {
                let y = y + 34 + ROW * index as i32 + ROW / 2;
                text(area, (LABELS - 10, y), (13, INK), RIGHT, &row.label)?;
                draw(area, y, &row.what, style)?;
            }
            y += len(panel);
        }
        line(area, &[(LABELS, top), (LABELS, bottom), (scale.pixels[1], bottom)], INK, 1)
    })
}

/// Bars, with their figures behind them.
pub(super) fn bars(title: &str, name: &str, unit: Unit, panels: &[Panel<Bar>], foot: &str) -> Result<String> {
    let values = panels.iter().flat_map(|panel| &panel.rows).map(|row| row.what.0);
    // A bar begins left of the smallest value, so that it has a length too.
    let scale = Scale::of(values.clone().chain(values.map(|value| value / 2.0)), 10.0, [LABELS, WIDTH - 110]);
    let draw = |area: &Area<'_>, y: i32, &Bar(value): &Bar, style: Style| {
        let corners = [(LABELS, y - 7), (scale.at(value), y + 7)];
        area.draw(&Rectangle::new(corners, style.color.filled()))?;
        text(area, (scale.at(value) + 6, y), (13, INK), LEFT, &unit.text(value))
    };
    rows((title, foot), Axis { name, unit }, panels, &scale, 0, draw, |_| Ok(()))
}

/// Points on a line, the n-th in the n-th shape.
pub(super) fn dots(
    title: &str,
    name: &str,
    kinds: &[&str],
    panels: &[Panel<Dots>],
    foot: &str,
) -> Result<String> {
    let values = panels.iter().flat_map(|panel| &panel.rows).flat_map(|row| &row.what.0);
    let scale = Scale::of(values.copied(), 10.0, [LABELS, WIDTH - 40]);
    let draw = |area: &Area<'_>, y: i32, Dots(values): &Dots, style: Style| {
        let at: Vec<_> = values.iter().map(|&value| (scale.at(value), y)).collect();
        line(area, &at, style.color, 2)?;
        at.iter().enumerate().try_for_each(|(shape, &point)| marker(area, point, Style { shape, ..style }))
    };
    let head = |area: &Area<'_>| {
        kinds.iter().enumerate().try_for_each(|(shape, kind)| {
            let x = LABELS + 8 + 90 * shape as i32;
            marker(area, (x, 56), Style { color: INK, shape })?;
            text(area, (x + 12, 56), (14, INK), LEFT, kind)
        })
    };
    rows((title, foot), Axis { name, unit: Unit::Nanos }, panels, &scale, 24, draw, head)
}
