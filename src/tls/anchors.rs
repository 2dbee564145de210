//! The CA certificates of a store: what of a source may serve as an anchor, and what is skipped.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor};

use super::certificate::{Anchor, Certificate};
use super::fault::{Fault, Position, Problem, Skipped};
use super::layout::split;
use super::pem::Entry;
use super::platform;
use super::sources::{self, Limit, Source, path_name};

/// What a store holds. An anchor and its form for webpki have the same index.
#[derive(Clone, Default)]
pub(super) struct Anchors {
    pub(super) list: Vec<Anchor>,
    pub(super) trusted: Vec<TrustAnchor<'static>>,
    /// The indices of those of one subject, by its DER.
    by_subject: HashMap<Box<[u8]>, Vec<usize>>,
    known: HashSet<CertificateDer<'static>>,
    pub(super) skipped: Vec<Skipped>,
}

impl Anchors {
    /// The places of those whose subject is this name in DER.
    pub(super) fn named(&self, name: &[u8]) -> &[usize] {
        self.by_subject.get(name).map_or(&[], Vec::as_slice)
    }

    /// The anchor at a place, and the same as webpki takes it.
    pub(super) fn at(&self, place: usize) -> Option<(&Anchor, &TrustAnchor<'static>)> {
        Some((self.list.get(place)?, self.trusted.get(place)?))
    }

    /// Adds those of another store, and what that skipped.
    pub(super) fn merge(&mut self, other: &Self) {
        for (anchor, trusted) in other.list.iter().zip(&other.trusted) {
            let der = anchor.certificate().certificate_der();
            if self.known.insert(der.clone()) {
                self.push(anchor.clone(), trusted.clone());
            }
        }
        self.skipped.extend_from_slice(&other.skipped);
    }

    /// Adds a source that was named: nothing in it may be broken.
    pub(super) fn add_named(&mut self, source: &Source) -> Result<(), Fault> {
        let (usable, faults) = self.add_entries(source);
        for fault in faults {
            if usable == 0 || !is_harmless(fault.problem()) {
                return Err(fault);
            }
            self.skip(fault);
        }
        Ok(())
    }

    /// Adds one certificate.
    pub(super) fn add_der(&mut self, source: &Source) -> Result<(), Fault> {
        let added = self.insert_der(source, source.der()?);
        added.map_err(|problem| source.fault(problem))
    }

    /// Adds certificates that stand one after the other.
    pub(super) fn add_each_der(&mut self, source: &Source) -> Result<(), Fault> {
        for (at, der) in split(source.der()?).enumerate() {
            let added = match der {
                Ok(der) => self.insert_der(source, der),
                Err(error) => Err(Problem::NotAnAnchor(error.to_string())),
            };
            let position = Position {
                entry: at + 1,
                line: None,
            };
            added.map_err(|problem| source.fault(problem).at(position))?;
        }
        Ok(())
    }

    /// Adds what can be used of a folder.
    pub(super) fn add_folder(
        &mut self,
        path: &Path,
        name: impl Fn(&Path) -> Arc<str>,
    ) -> Result<(), Fault> {
        let add = |source: &Source| self.add_entries(source);
        let (limit, wanted) = (Limit::CERTIFICATES, "CA certificate");
        let faults = sources::read_folder(path, name, limit, wanted, add)?;
        faults.into_iter().for_each(|fault| self.skip(fault));
        Ok(())
    }

    pub(super) fn add_platform(&mut self, store: platform::Store) {
        if let Some(path) = store.file {
            let source = Source::file(path_name(&path), &path, Limit::CERTIFICATES);
            let faults = match source {
                Ok(source) => self.add_entries(&source).1,
                Err(fault) => vec![fault],
            };
            faults.into_iter().for_each(|fault| self.skip(fault));
        }
        for path in store.folders {
            if let Err(fault) = self.add_folder(&path, path_name) {
                self.skip(fault);
            }
        }
        let source: Arc<str> = "platform".into();
        for der in store.certificates {
            if let Err(problem) = self.insert(&source, der) {
                self.skip(Fault::of(&source, problem));
            }
        }
        let failures = store.failures.into_iter();
        self.skipped
            .extend(failures.map(|reason| Skipped::new(&source, reason)));
    }

    pub(super) fn insert(
        &mut self,
        source: &Arc<str>,
        der: CertificateDer<'static>,
    ) -> Result<(), Problem> {
        if self.known.contains(&der) {
            return Ok(());
        }
        let trusted = webpki::anchor_from_trusted_cert(&der)
            .map_err(|error| Problem::NotAnAnchor(error.to_string()))?
            .to_owned();
        let certificate = Certificate::read(der.clone())
            .map_err(|error| Problem::NotAnAnchor(error.to_string()))?;
        self.known.insert(der);
        self.push(Anchor::new(certificate, source.clone()), trusted);
        Ok(())
    }

    pub(super) fn skip(&mut self, fault: Fault) {
        self.skipped.push(fault.into());
    }

    fn insert_der(&mut self, source: &Source, der: &[u8]) -> Result<(), Problem> {
        match PrivateKeyDer::try_from(der) {
            Ok(_) => Err(Problem::KeyForCa),
            Err(_) => self.insert(source.name(), CertificateDer::from(der.to_vec())),
        }
    }

    /// Adds what is usable; says how much that was, and what the rest is.
    fn add_entries(&mut self, source: &Source) -> (usize, Vec<Fault>) {
        let mut usable = 0;
        let mut faults = Vec::new();
        for entry in source.entries() {
            let added = entry.and_then(|Entry { position, item }| {
                let added = item
                    .certificate(Problem::KeyForCa)
                    .and_then(|der| self.insert(source.name(), der));
                added.map_err(|problem| source.fault(problem).at(position))
            });
            match added {
                Ok(()) => usable += 1,
                Err(fault) => faults.push(fault),
            }
        }
        (usable, faults)
    }

    fn push(&mut self, anchor: Anchor, trusted: TrustAnchor<'static>) {
        let subject = anchor.certificate().subject_der();
        let places = self.by_subject.entry(subject.into()).or_default();
        places.push(self.list.len());
        self.list.push(anchor);
        self.trusted.push(trusted);
    }
}

/// Whether a source is sound although an entry of it is of no use to us.
fn is_harmless(problem: &Problem) -> bool {
    matches!(
        problem,
        Problem::NotCertificate(_) | Problem::NotAnAnchor(_)
    )
}
