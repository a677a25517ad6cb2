//! What is there already: a file may name it without saying it again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use admit_protocol::cinema::Cinema;
use admit_protocol::digest::ContentName;
use admit_protocol::film::Film;
use admit_protocol::id::ScreeningId;
use admit_protocol::json::{self, DOCUMENT_BYTES_MAX, Numbers};
use admit_protocol::layout::Layout;
use admit_protocol::price::PriceTable;
use admit_protocol::screening::Screening;
use axum::body::Bytes;
use serde::de::DeserializeOwned;

use crate::store::{DocumentKind, ListedScreening, Listing};

/// What a store lists, its documents read once, when somebody names them.
#[derive(Default)]
pub(super) struct Known<'a> {
    pub(super) cinemas: &'a [Cinema],
    pub(super) films: &'a [Film],
    pub(super) screenings: &'a [Box<ListedScreening>],
    by_id: HashMap<ScreeningId, &'a Screening>,
    documents: HashMap<ContentName, &'a Bytes>,
    called: HashMap<(DocumentKind, &'a str), ContentName>,
    layouts: Read<Layout>,
    tables: Read<PriceTable>,
}

/// Documents that were read; nothing where they are none of this kind.
type Read<T> = RefCell<HashMap<ContentName, Option<Rc<T>>>>;

impl<'a> Known<'a> {
    pub(super) fn of(there: Option<&'a Listing>) -> Self {
        let Some(there) = there else { return Self::default() };
        Self {
            cinemas: &there.cinemas,
            films: &there.films,
            screenings: &there.screenings,
            by_id: there.screenings.iter().map(|listed| (listed.screening.id, &listed.screening)).collect(),
            documents: there.documents.iter().map(|d| (d.name, &d.bytes)).collect(),
            called: there.documents.iter().filter_map(|d| Some(((d.kind, d.called.as_deref()?), d.name))).collect(),
            ..Self::default()
        }
    }

    pub(super) fn screening(&self, id: ScreeningId) -> Option<&'a Screening> {
        self.by_id.get(&id).copied()
    }

    /// The document's own name, if this is it, or what an earlier file called it.
    pub(super) fn named(&self, kind: DocumentKind, name: &str) -> Option<ContentName> {
        self.called.get(&(kind, name)).copied().or_else(|| name.parse().ok())
    }

    pub(super) fn layout(&self, name: ContentName) -> Option<(ContentName, Rc<Layout>)> {
        Some((name, self.read(&self.layouts, name)?))
    }

    pub(super) fn table(&self, name: ContentName) -> Option<(ContentName, Rc<PriceTable>)> {
        Some((name, self.read(&self.tables, name)?))
    }

    fn read<T: DeserializeOwned>(&self, kind: &Read<T>, name: ContentName) -> Option<Rc<T>> {
        let bytes = self.documents.get(&name)?;
        let read = || json::read(bytes, DOCUMENT_BYTES_MAX, Numbers::Integers).ok().map(Rc::new);
        kind.borrow_mut().entry(name).or_insert_with(read).clone()
    }
}
