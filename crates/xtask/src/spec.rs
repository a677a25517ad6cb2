//! The specification as one page for a browser: with working links, and a search over its sentences.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec");

/// Renders it into this file. Fails where a link leads nowhere, or a sentence that is named is not there.
pub(crate) fn run(into: &Path) -> anyhow::Result<()> {
    let page = render()?;
    into.parent().map(fs::create_dir_all).transpose()?;
    fs::write(into, &page).with_context(|| into.display().to_string())?;
    println!("wrote {} ({} KiB)", into.display(), page.len() / 1024);
    Ok(())
}

/// The whole page.
pub(crate) fn render() -> anyhow::Result<String> {
    let folder = PathBuf::from(FOLDER);
    let first = fs::read_to_string(folder.join("README.md"))?;
    // What the first page leads to, in its order.
    let mut names = vec!["README.md".to_owned()];
    for link in links(&first) {
        let file = link.split('#').next().unwrap_or_default();
        if file.ends_with(".md") && !file.starts_with("files/") && !names.iter().any(|name| name == file) {
            names.push(file.to_owned());
        }
    }
    let pages: Vec<(String, String)> = names
        .into_iter()
        .map(|name| Ok((fs::read_to_string(folder.join(&name)).with_context(|| name.clone())?, name)))
        .map(|read: anyhow::Result<_>| read.map(|(text, name)| (name, text)))
        .collect::<anyhow::Result<_>>()?;
    let sentences: BTreeSet<&str> = pages.iter().flat_map(|(_, text)| text.lines().filter_map(number)).collect();
    let (mut articles, mut contents) = (String::new(), String::new());
    for (name, text) in &pages {
        let of = Page { folder: &folder, name, pages: &pages, sentences: &sentences };
        let id = anchor(name);
        let title = text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or(name);
        let title = title.split(" (").next().unwrap_or(title);
        contents.push_str(&format!("<li><a href=\"#{id}\">{}</a></li>", escaped(title)));
        articles.push_str(&format!("<article id=\"{id}\">{}</article>\n", of.render(text)?));
    }
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>The Admit protocol</title><style>{STYLE}</style></head>\n<body><nav aria-label=\"Pages\"><label for=\"search\">Search\
         </label><input id=\"search\" type=\"search\" placeholder=\"a word, or HOLD-004\"><p id=\"found\" role=\"status\"></p><ul>{contents}</ul>\
         </nav>\n<main>{articles}</main><script>{SEARCH}</script></body></html>\n"
    ))
}

/// The number of a sentence that begins on this line.
fn number(line: &str) -> Option<&str> {
    line.strip_prefix("- **")?.split_once("**").map(|(number, _)| number).filter(|number| is_number(number))
}

fn is_number(word: &str) -> bool {
    let Some((letters, digits)) = word.split_once('-') else { return false };
    let upper = |c: u8| c.is_ascii_uppercase();
    letters.len() > 1 && letters.bytes().all(upper) && digits.len() == 3 && digits.bytes().all(|c| c.is_ascii_digit())
}

/// Where links of a page lead.
fn links(text: &str) -> Vec<String> {
    let link = |event| match event {
        Event::Start(Tag::Link { dest_url, .. }) => Some(dest_url.to_string()),
        _ => None,
    };
    Parser::new_ext(text, Options::ENABLE_TABLES).filter_map(link).collect()
}

/// `v1/holds.md` is `holds`.
fn anchor(name: &str) -> String {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.trim_end_matches(".md").to_lowercase()
}

struct Page<'a> {
    folder: &'a Path,
    name: &'a str,
    pages: &'a [(String, String)],
    sentences: &'a BTreeSet<&'a str>,
}

impl Page<'_> {
    fn render(&self, text: &str) -> anyhow::Result<String> {
        let (mut events, mut bold, mut in_link, mut in_code) = (Vec::new(), false, false, false);
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                    in_link = true;
                    let dest_url = self.target(&dest_url)?.into();
                    events.push(Event::Start(Tag::Link { link_type, dest_url, title, id }));
                }
                Event::End(TagEnd::Link) => {
                    in_link = false;
                    events.push(Event::End(TagEnd::Link));
                }
                Event::Start(Tag::Heading { level, classes, attrs, .. }) => {
                    // One page has one title.
                    let level = HeadingLevel::try_from(level as usize + 1).unwrap_or(HeadingLevel::H6);
                    events.push(Event::Start(Tag::Heading { level, id: None, classes, attrs }));
                }
                Event::End(TagEnd::Heading(level)) => {
                    let level = HeadingLevel::try_from(level as usize + 1).unwrap_or(HeadingLevel::H6);
                    events.push(Event::End(TagEnd::Heading(level)));
                }
                Event::Start(Tag::Strong) => {
                    bold = true;
                    events.push(Event::Start(Tag::Strong));
                }
                Event::End(TagEnd::Strong) => {
                    bold = false;
                    events.push(Event::End(TagEnd::Strong));
                }
                Event::Start(Tag::CodeBlock(kind)) => {
                    in_code = true;
                    events.push(Event::Start(Tag::CodeBlock(kind)));
                }
                Event::End(TagEnd::CodeBlock) => {
                    in_code = false;
                    events.push(Event::End(TagEnd::CodeBlock));
                }
                Event::Text(text) if bold && is_number(&text) => {
                    events.push(Event::InlineHtml(format!("<a id=\"{text}\" href=\"#{text}\">{text}</a>").into()));
                }
                // A path is broken where one of its parts begins.
                Event::Code(code) if code.contains('/') => {
                    let code = escaped(&code).replace('/', "<wbr>/");
                    events.push(Event::InlineHtml(format!("<code>{code}</code>").into()));
                }
                Event::Text(text) if !in_link && !in_code => self.link_sentences(&text, &mut events)?,
                other => events.push(other),
            }
        }
        let mut page = String::with_capacity(text.len() * 2);
        html::push_html(&mut page, events.into_iter());
        Ok(page)
    }

    /// Where a link of this page leads in the whole.
    fn target(&self, url: &str) -> anyhow::Result<String> {
        if url.contains("://") || url.starts_with('#') {
            return Ok(url.to_owned());
        }
        let file = url.split('#').next().unwrap_or_default();
        let from = Path::new(self.name).parent().unwrap_or(Path::new(""));
        let path = self.folder.join(from).join(file);
        ensure!(path.exists(), "{}: a link leads to {url}, which is not there", self.name);
        let name = if from.as_os_str().is_empty() { file.to_owned() } else { format!("{}/{file}", from.display()) };
        let within =
            self.pages.iter().find(|(page, _)| *page == name || anchor(page) == anchor(&name) && file.ends_with(".md"));
        Ok(match within {
            Some((page, _)) => format!("#{}", anchor(page)),
            // Schemas and files lie beside it.
            None => format!("../../spec/{name}"),
        })
    }

    /// Sentences that are named lead to them.
    fn link_sentences<'e>(&self, text: &str, events: &mut Vec<Event<'e>>) -> anyhow::Result<()> {
        let mut plain = String::new();
        for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
            let name = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            if !is_number(name) || name.starts_with("RFC") || name.starts_with("ISO") || name.starts_with("SHA") {
                plain.push_str(word);
                continue;
            }
            ensure!(self.sentences.contains(name), "{}: {name} is named, and no sentence has that number", self.name);
            events.push(Event::Text(CowStr::from(std::mem::take(&mut plain))));
            events.push(Event::InlineHtml(format!("<a href=\"#{name}\">{name}</a>").into()));
            plain.push_str(&word[name.len()..]);
        }
        events.push(Event::Text(CowStr::from(plain)));
        Ok(())
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1b1b1f;--paper:#fff;--quiet:#f3f3f6;--line:#d8d8de;--link:#0b57d0}
@media(prefers-color-scheme:dark){:root{--ink:#e7e7ea;--paper:#141417;--quiet:#222228;--line:#3a3a42;--link:#8ab4ff}}
*{box-sizing:border-box}html{scroll-padding-top:1rem}
body{margin:0;font:1rem/1.6 system-ui,sans-serif;color:var(--ink);background:var(--paper);display:grid;grid-template-columns:16rem minmax(0,1fr)}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1.5rem 1rem;border-right:1px solid var(--line)}
nav ul{list-style:none;padding:0;margin:1rem 0}nav li{margin:.15rem 0}nav label{font-weight:600}
input{width:100%;font:inherit;padding:.4rem .6rem;border:1px solid var(--line);border-radius:.4rem;background:var(--paper);color:inherit}
main{padding:1rem 2rem 6rem;max-width:60rem}article{border-bottom:1px solid var(--line);padding:1rem 0}
a{color:var(--link);text-decoration:none}a:hover,a:focus{text-decoration:underline}
h2{font-size:1.8rem;line-height:1.2}h3{font-size:1.3rem}h4{font-size:1.05rem}
pre{overflow-x:auto;background:var(--quiet);padding:.8rem;border-radius:.4rem;line-height:1.4}code{background:var(--quiet);padding:.1em .25em;border-radius:.2em;overflow-wrap:break-word}
pre code{padding:0;overflow-wrap:normal}pre code.language-json{white-space:pre-wrap;overflow-wrap:break-word}
table{border-collapse:collapse;display:block;overflow-x:auto;max-width:100%}td,th{border:1px solid var(--line);padding:.3rem .6rem;text-align:left;vertical-align:top}
li:target,li:has(> strong a:target),li:has(> p > strong a:target){background:var(--quiet);outline:.4rem solid var(--quiet)}
.away{display:none}
@media(max-width:52rem){body{grid-template-columns:minmax(0,1fr)}nav{position:static;height:auto;max-height:45vh;border-right:0;border-bottom:1px solid var(--line)}main{padding:1rem}}
@media print{nav{display:none}body{display:block}main{max-width:none}}
";

const SEARCH: &str = "
const field = document.getElementById('search'), found = document.getElementById('found');
const parts = [...document.querySelectorAll('main li, main p, main tr, main pre')];
field.addEventListener('input', () => {
  const words = field.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let count = 0;
  for (const part of parts) {
    const text = part.textContent.toLowerCase(), fits = words.every((word) => text.includes(word));
    part.classList.toggle('away', words.length > 0 && !fits);
    if (words.length && fits) count += 1;
  }
  for (const article of document.querySelectorAll('article'))
    article.classList.toggle('away', words.length > 0 && !article.querySelector('li:not(.away), p:not(.away), tr:not(.away), pre:not(.away)'));
  found.textContent = words.length ? count + (count === 1 ? ' place' : ' places') : '';
});
";
