//! `carstone man`: the pages of the manual.

use std::fs;
use std::io;

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

use crate::cli::{Cli, EXIT_STATUS, ManArgs};
use crate::exit::Exit;
use crate::output::Output;

/// Writes a page for the command and one for each of its subcommands.
pub(crate) fn run(args: ManArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let name = || args.out.display().to_string();
    fs::create_dir_all(&args.out).context("cannot make the directory").with_context(name)?;
    let pages = pages(Cli::command())?;
    for page in &pages {
        let path = args.out.join(&page.file);
        let name = || path.display().to_string();
        fs::write(&path, &page.text).context("cannot write").with_context(name)?;
    }
    output.note(&format!("{} pages in {}", pages.len(), name()));
    Ok(Exit::Intact)
}

/// A page in troff.
struct Page {
    file: String,
    text: Vec<u8>,
}

fn pages(command: Command) -> anyhow::Result<Vec<Page>> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add(&command, None, &mut pages)?;
    Ok(pages)
}

/// The page of a command, and those of all commands below it.
fn add(command: &Command, above: Option<&str>, pages: &mut Vec<Page>) -> io::Result<()> {
    let below = command.get_subcommands().map(page_name);
    let see_also: Vec<String> = above.map(str::to_owned).into_iter().chain(below).collect();
    pages.push(page(command, &see_also)?);
    let name = page_name(command);
    command.get_subcommands().try_for_each(|sub| add(sub, Some(&name), pages))
}

fn page_name(command: &Command) -> String {
    command.get_display_name().unwrap_or(command.get_name()).to_owned()
}

fn page(command: &Command, see_also: &[String]) -> io::Result<Page> {
    let man = Man::new(command.clone());
    // Without a date, which `Man` would leave out together with its place. Names of commands need no escapes.
    let (name, version) = (page_name(command), env!("CARGO_PKG_VERSION"));
    let title = format!(".TH {name} 1 \"\" \"carstone {version}\" \"Carstone Manual\"\n");
    let mut text = title.into_bytes();
    man.render_name_section(&mut text)?;
    synopsis(command).to_writer(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let mut more = Roff::new();
    for paragraph in help.split("\n\n") {
        match paragraph.split_once('\n') {
            Some(("Examples:", examples)) => {
                more.control("SH", ["EXAMPLES"]);
                more.control("nf", []);
                for line in examples.lines() {
                    more.text([roman(line)]);
                }
                more.control("fi", []);
            }
            // Told below, one a line.
            _ if paragraph.starts_with("Exit status:") || paragraph.is_empty() => {}
            _ => {
                more.control("SH", ["NOTES"]);
                more.text([roman(paragraph)]);
            }
        }
    }
    more.control("SH", ["EXIT STATUS"]);
    for (number, meaning) in EXIT_STATUS {
        more.control("TP", []);
        more.text([bold(number)]);
        more.text([roman(meaning)]);
    }
    more.control("SH", ["SEE ALSO"]);
    for (number, name) in see_also.iter().enumerate() {
        let comma = if number + 1 < see_also.len() { "(1)," } else { "(1)" };
        more.text([italic(name), roman(comma)]);
    }
    more.to_writer(&mut text)?;
    Ok(Page { file: man.get_filename(), text })
}

/// The line that `--help` starts with: that of `Man` does not tell which arguments can be repeated.
fn synopsis(command: &Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let mut section = Roff::new();
    section.control("SH", ["SYNOPSIS"]);
    section.text([roman(usage.strip_prefix("Usage: ").unwrap_or(&usage))]);
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_synopsis_tells_what_can_be_repeated() {
        let pages = pages(Cli::command()).expect("memory");
        let page = pages.iter().find(|page| page.file == "carstone-create.1").expect("a page");
        let text = String::from_utf8_lossy(&page.text);
        assert!(text.contains("\ncarstone create [OPTIONS] [PATH]...\n"), "{text}");
    }

    fn count(command: &Command) -> usize {
        1 + command.get_subcommands().map(count).sum::<usize>()
    }

    #[test]
    fn every_command_has_a_page_with_all_sections() {
        let pages = pages(Cli::command()).expect("memory");
        let text = |file: &str| {
            let page = pages.iter().find(|page| page.file == file);
            let page = page.unwrap_or_else(|| panic!("{file} is missing"));
            String::from_utf8(page.text.clone()).expect("pages are text")
        };
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        let subs: Vec<&Command> = command.get_subcommands().collect();
        assert_eq!(pages.len(), count(&command));
        text("carstone-car-get-dag.1");
        text("carstone-car-index-create.1");
        let top = text("carstone.1");
        for sub in subs {
            let name = format!("carstone\\-{}", sub.get_name());
            assert!(top.contains(&name), "{name}");
            let page = text(&format!("carstone-{}.1", sub.get_name()));
            for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES"] {
                assert!(page.contains(&format!(".SH {section}\n")), "{name}: {section}");
            }
            for section in ["EXIT STATUS", "SEE ALSO"] {
                assert!(page.contains(&format!(".SH \"{section}\"\n")), "{name}: {section}");
            }
            for arg in sub.get_arguments().filter_map(|arg| arg.get_long()) {
                let arg = arg.replace('-', "\\-");
                assert!(page.contains(&format!("\\-\\-{arg}")), "{name}: {arg}");
            }
        }
    }
}
