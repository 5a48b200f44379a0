//! Writes a line plot as SVG text, without a library.

use std::fmt::Write;
use std::path::Path;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 170.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
const COLOURS: [&str; 3] = ["#0b6e99", "#c4560c", "#5b5b5b"];

/// A line and its name.
pub type Line<'a> = (&'a str, Vec<(f64, f64)>);

/// Writes a plot of lines that share their x values; both axes start at 0.
pub fn write(path: &Path, title: &str, (x_label, y_label): (&str, &str), lines: &[Line]) {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let max_x = points().map(|(x, _)| *x).fold(0.0, f64::max);
    let max_y = round_up(points().map(|(_, y)| *y).fold(0.0, f64::max));
    let place_x = |x: f64| LEFT + x / max_x * (WIDTH - LEFT - RIGHT);
    let place_y = |y: f64| HEIGHT - BOTTOM - y / max_y * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{title}</text>\n"
    );
    for step in 0..=4 {
        let y = max_y * f64::from(step) / 4.0;
        let (at, end) = (place_y(y), WIDTH - RIGHT);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {at:.1}H{end}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            at + 4.0,
            short(y)
        );
    }
    let x_step = round_up(max_x / 4.0);
    for x in (0..5).map(|step| f64::from(step) * x_step).filter(|x| *x <= max_x) {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            place_x(x),
            HEIGHT - BOTTOM + 18.0,
            short(x)
        );
    }
    let middle = LEFT + (WIDTH - LEFT - RIGHT) / 2.0;
    let _ =
        writeln!(svg, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{x_label}</text>", HEIGHT - 10.0);
    let _ = writeln!(
        svg,
        "<text transform=\"translate(16 {}) rotate(-90)\" text-anchor=\"middle\">{y_label}</text>",
        HEIGHT / 2.0
    );
    for ((name, points), colour) in lines.iter().zip(COLOURS) {
        let path: Vec<_> =
            points.iter().map(|(x, y)| format!("{:.1} {:.1}", place_x(*x), place_y(*y))).collect();
        let _ = writeln!(
            svg,
            "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join("L")
        );
        for (x, y) in points {
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                place_x(*x),
                place_y(*y)
            );
        }
        let (_, last) = points.last().copied().unwrap_or_default();
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{name}</text>",
            WIDTH - RIGHT + 10.0,
            place_y(last) + 4.0
        );
    }
    svg.push_str("</svg>\n");
    std::fs::write(path, svg).expect("a file");
}

/// Rounds up to 1, 2, 4, 6 or 8 times a power of ten.
fn round_up(number: f64) -> f64 {
    let power = 10_f64.powf(number.max(1e-9).log10().floor());
    let steps = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|step| *step >= number).unwrap_or(number)
}

fn short(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
