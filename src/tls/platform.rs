//! Where this machine keeps its CA certificates, and what the environment names in their place.
//!
//! rustls-native-certs could answer both, but it takes an empty variable for a path, and on Unix it
//! does not say which file a certificate came from: it is asked only where the store is not made of
//! files.

#[cfg(all(unix, not(target_os = "macos")))]
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::PathBuf;

use rustls::pki_types::CertificateDer;

/// What the environment names in place of the platform's store.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) file: Option<PathBuf>,
    pub(super) folders: Vec<PathBuf>,
    /// The variables that are set but name nothing.
    pub(super) empty: Vec<&'static str>,
}

impl Named {
    pub(super) fn by(environment: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let mut named = Self::default();
        if let Some(file) = environment(CERT_FILE) {
            if file.is_empty() {
                named.empty.push(CERT_FILE);
            } else {
                named.file = Some(file.into());
            }
        }
        if let Some(list) = environment(CERT_DIR) {
            let folders = std::env::split_paths(&list);
            named.folders = folders
                .filter(|path| !path.as_os_str().is_empty())
                .collect();
            if named.folders.is_empty() {
                named.empty.push(CERT_DIR);
            }
        }
        named
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.file.is_none() && self.folders.is_empty()
    }
}

/// The platform's store: files and folders yet to be read, or certificates.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) file: Option<PathBuf>,
    pub(super) folders: Vec<PathBuf>,
    pub(super) certificates: Vec<CertificateDer<'static>>,
    /// What could not be had, and why.
    pub(super) failures: Vec<String>,
}

/// The first bundle there is and every folder there is, of those where the distributions keep their
/// CAs: the same that rustls-native-certs reads.
#[cfg(all(unix, not(target_os = "macos")))]
pub(super) fn store() -> Store {
    let places = openssl_probe::probe();
    let mut folders = places.cert_dir;
    // Some distributions reach one folder by several of those paths.
    let mut known = HashSet::new();
    folders.retain(|path| known.insert(path.canonicalize().unwrap_or_else(|_| path.clone())));
    Store {
        file: places.cert_file,
        folders,
        ..Store::default()
    }
}

/// The system's own store, which has no files. An empty `SSL_CERT_FILE`, which counts as unset,
/// must not be set here: rustls-native-certs takes it for a path, and what it then finds is a
/// failure.
#[cfg(any(windows, target_os = "macos"))]
pub(super) fn store() -> Store {
    let found = rustls_native_certs::load_native_certs();
    Store {
        certificates: found.certs,
        failures: found.errors.iter().map(ToString::to_string).collect(),
        ..Store::default()
    }
}

/// The variables of OpenSSL (X509_get_default_cert_file_env(3)), which Go, curl and
/// rustls-native-certs honour too.
pub(super) const CERT_FILE: &str = "SSL_CERT_FILE";
pub(super) const CERT_DIR: &str = "SSL_CERT_DIR";

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn what_the_variables_name() {
        type Row<'a> = (
            Option<&'a str>,
            Option<&'a str>,
            Option<&'a str>,
            &'a [&'a str],
            &'a [&'a str],
        );
        const NONE: &[&str] = &[];
        // SSL_CERT_FILE, SSL_CERT_DIR, the file, the folders, what is set but empty
        let rows: &[Row<'_>] = &[
            (None, None, None, NONE, NONE),
            (Some(""), None, None, NONE, &[CERT_FILE]),
            (None, Some(""), None, NONE, &[CERT_DIR]),
            (Some(""), Some(""), None, NONE, &[CERT_FILE, CERT_DIR]),
            (None, Some("::"), None, NONE, &[CERT_DIR]),
            (Some("/f"), None, Some("/f"), NONE, NONE),
            (Some(" "), None, Some(" "), NONE, NONE),
            (Some("/f:g"), None, Some("/f:g"), NONE, NONE),
            (None, Some("/d"), None, &["/d"], NONE),
            (None, Some("/d::/e"), None, &["/d", "/e"], NONE),
            (Some("/f"), Some("/d"), Some("/f"), &["/d"], NONE),
            (Some(""), Some("/d"), None, &["/d"], &[CERT_FILE]),
            (Some("/f"), Some(""), Some("/f"), NONE, &[CERT_DIR]),
        ];
        for (cert_file, cert_dir, file, folders, empty) in rows {
            let environment = |name: &str| match name {
                CERT_FILE => cert_file.map(OsString::from),
                CERT_DIR => cert_dir.map(OsString::from),
                other => panic!("{other} is read"),
            };
            let expected = Named {
                file: file.map(PathBuf::from),
                folders: folders.iter().map(PathBuf::from).collect(),
                empty: empty.to_vec(),
            };
            let named = Named::by(&environment);
            assert_eq!(named, expected);
            assert_eq!(named.is_nothing(), file.is_none() && folders.is_empty());
        }
    }
}
