// SPDX-License-Identifier: MIT OR Apache-2.0

//! The page works in a browser, if there is one. libtest cannot say at run time that a test is
//! ignored, so this one has its own harness.

mod chromium;
#[path = "../examples/sample/mod.rs"]
mod sample;

use std::path::PathBuf;
use std::process::ExitCode;

use hil_report::Report;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use chromium::{Shown, browser, opening_tags, show};

type Check = fn(&PathBuf) -> Result<(), Failed>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let checks: [(&str, Check); 7] = [
        ("the_script_runs_and_finds_every_test", script_runs),
        ("the_address_filters_by_words", filters_by_words),
        ("the_address_filters_by_verdict", filters_by_verdict),
        ("an_anchor_opens_its_test_even_if_filtered", anchor_opens),
        ("clicks_open_hide_fold_and_zoom", clicks_work),
        ("an_empty_run_is_shown", empty_run),
        ("a_script_in_a_report_does_not_run", no_foreign_script),
    ];
    let trials = checks.map(|(name, check)| {
        Trial::ignorable_test(name, move || match browser() {
            Some(browser) => check(&browser).map(|()| Completion::Completed),
            None => Ok(Completion::ignored_with("Chromium is not installed")),
        })
    });
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

/// Checks that the script ran to its end without a complaint and shows so many tests.
fn expect_shown(shown: &Shown, tests: usize) -> Result<(), Failed> {
    expect(shown.messages.is_empty(), || {
        format!("{:#?}", shown.messages)
    })?;
    let tag = opening_tags(&shown.page, "html").next().unwrap_or_default();
    for attribute in [
        "data-script=\"ready\"".to_owned(),
        format!("data-shown=\"{tests}\""),
    ] {
        expect(tag.contains(&attribute), || {
            format!("no {attribute} in {tag}")
        })?;
    }
    let open = |tag: &&str| tag.contains("class=\"test ") && !tag.contains(" hidden");
    let found = opening_tags(&shown.page, "details").filter(open).count();
    expect(found == tests, || {
        format!("{found} tests are to be seen, not {tests}")
    })
}

fn script_runs(browser: &PathBuf) -> Result<(), Failed> {
    let shown = show(browser, &sample::report().to_html(), "")?;
    expect_shown(&shown, 44)?;
    expect(rows(&shown) == 17, || format!("{} rows", rows(&shown)))?;
    let enabled = !opening_tags(&shown.page, "input").any(|tag| tag.contains("disabled"));
    expect(enabled, || "the verdicts cannot be chosen".to_owned())
}

fn filters_by_words(browser: &PathBuf) -> Result<(), Failed> {
    let shown = show(browser, &sample::report().to_html(), "?filter=ROOM+chardev")?;
    expect_shown(&shown, 3)?;
    expect(rows(&shown) == 1, || format!("{} rows", rows(&shown)))?;
    let told = shown.page.contains("3 of 44 tests shown");
    expect(told, || "the number of tests is not told".to_owned())
}

fn filters_by_verdict(browser: &PathBuf) -> Result<(), Failed> {
    let shown = show(browser, &sample::report().to_html(), "?show=failed,flaky")?;
    expect_shown(&shown, 4)?;
    expect(rows(&shown) == 4, || format!("{} rows", rows(&shown)))
}

fn anchor_opens(browser: &PathBuf) -> Result<(), Failed> {
    let html = sample::report().to_html();
    let shown = show(browser, &html, "?filter=room#t0")?;
    expect(shown.messages.is_empty(), || {
        format!("{:#?}", shown.messages)
    })?;
    let of_test = |tag: &&str| tag.contains("data-test=\"0\"");
    let tag = opening_tags(&shown.page, "details")
        .find(of_test)
        .unwrap_or_default();
    let open = tag.contains(" open=") && !tag.contains(" hidden");
    expect(open, || format!("not open: {tag}"))
}

/// What a user does, and what is to be seen then.
const CLICKS: &str = r#"
const seen = [];
const click = (selector) => document.querySelector(selector).click();
const test = (index) => document.querySelector(`details[data-test='${index}']`);
addEventListener("load", () => {
  click("td.failed a");
  setTimeout(() => {
    const index = location.hash.slice(2);
    seen.push(test(index).open);
    test(index).open = false;
    click("td.failed a");
    seen.push(test(index).open);
    click("input[value=failed]");
    seen.push(test(index).hidden);
    click(`a.bar[href='#t${index}']`);
    seen.push(test(index).hidden);
    click("input[value=flaky]");
    click("input[value=flaky]");
    click("tr.suite th");
    seen.push(document.querySelectorAll("tbody.folded").length);
    click("[data-zoom='2']");
    click("[data-zoom='2']");
    const canvas = document.querySelector(".canvas");
    const window = document.querySelector(".scroll");
    const marks = () => canvas.querySelectorAll(".scale span").length;
    const many = marks();
    seen.push(Math.round(canvas.offsetWidth / window.clientWidth));
    click("[data-zoom='0']");
    seen.push(Math.round(canvas.offsetWidth / window.clientWidth), many > marks());
    document.documentElement.dataset.seen = seen.join(" ");
  });
});
"#;

fn clicks_work(browser: &PathBuf) -> Result<(), Failed> {
    let html = sample::report().to_html();
    // Only without the policy does the browser run the script that plays the user.
    let html = html.replace("Content-Security-Policy", "Nothing");
    let html = html.replace("</body>", &format!("<script>{CLICKS}</script></body>"));
    let shown = show(browser, &html, "")?;
    expect_shown(&shown, 41)?;
    let tag = opening_tags(&shown.page, "html").next().unwrap_or_default();
    let seen = tag.contains("data-seen=\"true true true false 1 4 1 true\"");
    expect(seen, || tag.to_owned())
}

fn empty_run(browser: &PathBuf) -> Result<(), Failed> {
    let report = Report::new(std::time::UNIX_EPOCH);
    expect_shown(&show(browser, &report.to_html(), "")?, 0)
}

fn no_foreign_script(browser: &PathBuf) -> Result<(), Failed> {
    let attack = "document.documentElement.dataset.attacked = 1";
    let mut report = sample::report();
    report.tests[0].attempts[0].output =
        format!("</pre></script><script>{attack}</script><img src=x onerror=\"{attack}\">");
    report.tests[0].id.name = format!("\" onmouseover=\"{attack}\" autofocus onfocus=\"{attack}");
    let shown = show(browser, &report.to_html(), "#t0")?;
    expect_shown(&shown, 44)?;
    // The policy is the second wall: a script that got in would not run either.
    let html = report
        .to_html()
        .replace("<main>", &format!("<main><script>{attack}</script>"));
    let walled = show(browser, &html, "")?;
    let refused = walled
        .messages
        .iter()
        .any(|line| line.contains("Content Security Policy"));
    expect(refused, || "the policy refuses nothing".to_owned())?;
    for shown in [shown, walled] {
        let tag = opening_tags(&shown.page, "html").next().unwrap_or_default();
        expect(!tag.contains("attacked"), || {
            "a script of the report ran".to_owned()
        })?;
    }
    Ok(())
}

/// The rows of the matrix that are to be seen.
fn rows(shown: &Shown) -> usize {
    let rows = opening_tags(&shown.page, "tr").filter(|tag| tag.contains("class=\"row\""));
    rows.filter(|tag| !tag.contains(" hidden")).count()
}

fn expect(fits: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failed> {
    if fits {
        Ok(())
    } else {
        Err(otherwise().into())
    }
}
