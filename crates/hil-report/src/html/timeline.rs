// SPDX-License-Identifier: MIT OR Apache-2.0

//! When each bench did what.

use std::time::Duration;

use super::bench_name;
use super::lane::{Bar, Lane};
use super::markup::Markup;
use crate::{Report, moment};

/// The distances between the marks of the scale, in seconds.
const STEPS: [f64; 16] = [
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0,
];

/// About how many marks the scale has.
const MARKS: f64 = 10.0;

pub(super) fn timeline(report: &Report) -> Markup {
    let whole = report.duration.as_secs_f64().max(1e-3);
    let lanes: Vec<_> = report.columns().into_iter().collect();
    let lanes = lanes
        .into_iter()
        .map(|bench| Lane::new(report, bench, whole));
    let lanes: Vec<_> = lanes.filter(|lane| !lane.bars.is_empty()).collect();
    let mut page = Markup::from("<section id=\"timeline\">\n<h2>Timeline</h2>\n");
    if lanes.is_empty() {
        page.tag("<p class=\"nothing\">Nothing took any time.</p>\n</section>");
        return page;
    }
    page.tag("<p class=\"legend\"><span class=\"bar boot\"></span> boot ");
    page.tag(
        "<span class=\"bar passed\"></span> passed <span class=\"bar failed\"></span> failed ",
    );
    page.tag("<span class=\"bar infrastructure\"></span> infrastructure");
    page.tag("<span class=\"zoom\"><button type=\"button\" data-zoom=\"0.5\">−</button>");
    page.tag("<button type=\"button\" data-zoom=\"2\">+</button>");
    page.tag("<button type=\"button\" data-zoom=\"0\">whole run</button></span></p>\n");
    page.tag("<div class=\"lanes\"><div class=\"names\"><div class=\"scale\"></div>");
    for lane in &lanes {
        page.tag("<div style=\"--rows:")
            .number(lane.rows)
            .tag("\">");
        page.text(bench_name(lane.bench)).tag("</div>");
    }
    page.tag("</div>\n<div class=\"scroll\" tabindex=\"0\"><div class=\"canvas\" data-seconds=\"");
    page.text(format!("{whole:.6}"))
        .tag("\">\n<div class=\"scale\">");
    for mark in marks(whole) {
        page.tag("<span style=\"left:")
            .percent(mark / whole)
            .tag("\">");
        page.text(moment::span(Duration::from_secs_f64(mark)))
            .tag("</span>");
    }
    page.tag("</div>\n");
    for lane in &lanes {
        page.tag("<div class=\"lane\" style=\"--rows:")
            .number(lane.rows)
            .tag("\">\n");
        for bar in &lane.bars {
            draw(&mut page, bar, whole);
        }
        page.tag("</div>\n");
    }
    page.tag("</div></div></div>\n");
    let moved = lanes.iter().flat_map(|lane| &lane.bars);
    let moved = moved.filter(|bar| bar.moved).count();
    if moved > 0 {
        page.tag("<p class=\"jumped\">").number(moved);
        page.tag(" of these have times outside of the run: the PC’s clock was set meanwhile. ");
        page.tag("They are drawn at the edge.</p>\n");
    }
    page.tag("</section>");
    page
}

fn draw(page: &mut Markup, bar: &Bar, whole: f64) {
    let class = bar.verdict.map_or("boot", crate::Verdict::word);
    match bar.test {
        Some(index) => page
            .tag("<a href=\"#t")
            .number(index)
            .tag("\" class=\"bar "),
        None => page.tag("<span class=\"bar "),
    };
    page.tag(class)
        .tag("\" style=\"left:")
        .percent(bar.from / whole);
    page.tag(";width:").percent(bar.seconds() / whole);
    if bar.row > 0 {
        page.tag(";--row:").number(bar.row);
    }
    let length = Duration::try_from_secs_f64(bar.seconds()).unwrap_or_default();
    page.tag("\" title=\"")
        .text(&bar.name)
        .tag("\n")
        .text(moment::span(length));
    page.tag(", ").tag(class);
    page.tag(if bar.test.is_some() {
        "\"></a>"
    } else {
        "\"></span>"
    })
    .tag("\n");
}

/// The marks of the scale, in seconds.
fn marks(whole: f64) -> impl Iterator<Item = f64> {
    let fits = |step: &f64| whole / step <= MARKS;
    // A run of days has a mark for each tenth of it.
    let step = STEPS.into_iter().find(fits).unwrap_or(whole / MARKS);
    let all = (0..=MARKS as u32).map(move |mark| f64::from(mark) * step);
    all.take_while(move |mark| *mark < whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_few_and_round() {
        let at = |whole| marks(whole).collect::<Vec<_>>();
        assert_eq!(at(4.2), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]);
        assert_eq!(at(59.0).len(), 6);
        for whole in [1e-3, 0.5, 7.0, 600.0, 1e5, 1e7] {
            assert!((1..=10).contains(&at(whole).len()), "{whole}");
        }
    }
}
