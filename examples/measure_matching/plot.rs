//! The plot of `docs/explanation/matching.md` as SVG: score histograms of changed copies and of different pictures.

use std::fmt::Write;

/// Scores from 0 to 20, two bars each.
const BARS: usize = 40;
const WIDTH: f32 = 16.0;
const HEIGHT: f32 = 220.0;
const LEFT: f32 = 48.0;
const TOP: f32 = 40.0;

/// Returns a histogram with one colour per set, normalized per set.
pub fn svg(same: &[f32], different: &[f32]) -> String {
    let (width, bottom) = (LEFT + WIDTH * BARS as f32 + 20.0, TOP + HEIGHT);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        bottom + 50.0
    );
    for (scores, colour, shift) in [(different, "#c2553a", 0.0), (same, "#2f6f9f", WIDTH / 2.0)] {
        bars(&mut out, &parts(scores), colour, shift);
    }
    for (score, label) in [(5.0, "same person: 5"), (7.0, "threshold 7")] {
        let x = LEFT + score * 2.0 * WIDTH;
        let _ = writeln!(
            out,
            "<path d=\"M{x} {TOP}V{bottom}\" stroke=\"#777\" stroke-dasharray=\"4 3\"/><text x=\"{}\" y=\"{}\" fill=\"#555\">{label}</text>",
            x + 4.0,
            TOP + 10.0 + (score - 5.0) * 8.0
        );
    }
    axes(&mut out, bottom);
    legend(&mut out, same.len(), different.len());
    out.push_str("</svg>\n");
    out
}

/// Returns the fraction of the scores in each bar.
fn parts(scores: &[f32]) -> [f32; BARS] {
    let mut parts = [0.0; BARS];
    for score in scores {
        parts[((score * 2.0) as usize).min(BARS - 1)] += 1.0 / scores.len() as f32;
    }
    parts
}

fn bars(out: &mut String, parts: &[f32], colour: &str, shift: f32) {
    for (bar, part) in parts.iter().enumerate().filter(|(_, part)| **part > 0.0) {
        let height = (part * HEIGHT).max(1.0);
        let (x, y) = (LEFT + bar as f32 * WIDTH + shift, TOP + HEIGHT - height);
        let width = WIDTH / 2.0 - 1.0;
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"{y:.1}\" width=\"{width}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
        );
    }
}

fn axes(out: &mut String, bottom: f32) {
    let right = LEFT + WIDTH * BARS as f32;
    let _ = writeln!(out, "<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" stroke=\"#333\" fill=\"none\"/>");
    for score in (0..=20).step_by(2) {
        let x = LEFT + score as f32 * 2.0 * WIDTH;
        let y = bottom + 18.0;
        let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{score}</text>");
    }
    for percent in [0, 25, 50, 75, 100] {
        let y = bottom - HEIGHT * percent as f32 / 100.0 + 4.0;
        let x = LEFT - 6.0;
        let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"end\">{percent} %</text>");
    }
    let (x, y) = ((LEFT + right) / 2.0, bottom + 38.0);
    let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">score</text>");
}

fn legend(out: &mut String, same: usize, different: usize) {
    for (number, (colour, label)) in [
        ("#c2553a", format!("different pictures ({different})")),
        ("#2f6f9f", format!("changed copies ({same})")),
    ]
    .into_iter()
    .enumerate()
    {
        let x = LEFT + 8.0 + number as f32 * 220.0;
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"12\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"{}\" y=\"23\">{label}</text>",
            x + 18.0
        );
    }
}
