//! The files that keys lie in.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::cli::Failed;
use crate::config::{self, Name, Text};

use super::failed;

/// Where, and so how, a key lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// `keys/NAME`, for root alone.
    Plain,
    /// `keys.encrypted/NAME`, which systemd decrypts.
    Encrypted,
    /// `clients/NAME`, for members of the group too: a client's key.
    Shared,
}

impl Form {
    pub(super) const ALL: [Form; 3] = [Form::Plain, Form::Encrypted, Form::Shared];

    /// The directory beside the configuration.
    fn directory(self) -> &'static str {
        match self {
            Form::Plain => "keys",
            Form::Encrypted => "keys.encrypted",
            Form::Shared => "clients",
        }
    }

    /// In one word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Form::Plain => "plain",
            Form::Encrypted => "encrypted",
            Form::Shared => "shared",
        }
    }
}

/// The directories of keys beside one configuration file.
#[derive(Debug)]
pub(super) struct Store {
    directory: PathBuf,
    /// The one whose keys systemd loads.
    is_systems: bool,
}

impl Store {
    pub(super) fn beside(file: &Path) -> Store {
        let beside = |file: &Path| match file.parent() {
            Some(directory) if directory != Path::new("") => directory.to_owned(),
            _ => PathBuf::from("."),
        };
        let directory = beside(file);
        let is_systems = directory == beside(config::system_file());
        Store {
            directory,
            is_systems,
        }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn is_systems(&self) -> bool {
        self.is_systems
    }

    /// Whether a key could be written; asked before somebody types one.
    pub(super) fn writable(&self) -> Result<(), Failed> {
        let directory = self.made(Form::Plain)?;
        let probe = directory.join(".probe");
        let made = create(&probe).map_err(|error| self.refused(&probe, &error));
        let _ = fs::remove_file(&probe);
        made.map(drop)
    }

    /// Writes a key, whole or not at all, and takes away the other forms that
    /// would be found before it or beside it.
    pub(super) fn write(&self, name: &Name, form: Form, content: &[u8]) -> Result<PathBuf, Failed> {
        let directory = self.made(form)?;
        let path = directory.join(name.as_str());
        // No name begins with a dot, so this is no key's.
        let new = directory.join(format!(".{name}.new"));
        let written = write_durably(&new, content).and_then(|()| fs::rename(&new, &path));
        if let Err(error) = written {
            let _ = fs::remove_file(&new);
            return Err(self.refused(&path, &error));
        }
        let _ = File::open(&directory).and_then(|directory| directory.sync_all());
        for other in Form::ALL.into_iter().filter(|other| *other != form) {
            self.delete(&self.path(name, other))?;
        }
        Ok(path)
    }

    /// Removes a key in all its forms, and says where it was.
    pub(super) fn remove(&self, name: &Name) -> Result<Vec<PathBuf>, Failed> {
        let mut removed = Vec::new();
        for path in Form::ALL.map(|form| self.path(name, form)) {
            if self.delete(&path)? {
                removed.push(path);
            }
        }
        Ok(removed)
    }

    /// The names of all keys, and how each lies.
    pub(super) fn names(&self) -> Result<BTreeMap<Name, Vec<Form>>, Failed> {
        let mut names: BTreeMap<Name, Vec<Form>> = BTreeMap::new();
        for form in Form::ALL {
            let directory = self.directory.join(form.directory());
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(self.refused(&directory, &error)),
            };
            for entry in entries {
                let entry = entry.map_err(|error| self.refused(&directory, &error))?;
                // What is no name, no configuration can name.
                let name = entry.file_name();
                if let Some(Ok(name)) = name.to_str().map(Name::from_text) {
                    names.entry(name).or_default().push(form);
                }
            }
        }
        Ok(names)
    }

    fn path(&self, name: &Name, form: Form) -> PathBuf {
        self.directory.join(form.directory()).join(name.as_str())
    }

    fn made(&self, form: Form) -> Result<PathBuf, Failed> {
        let directory = self.directory.join(form.directory());
        match DirBuilder::new().mode(0o700).create(&directory) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                Err(self.refused(&directory, &error))
            }
            _ => Ok(directory),
        }
    }

    fn delete(&self, path: &Path) -> Result<bool, Failed> {
        match fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.refused(path, &error)),
        }
    }

    fn refused(&self, path: &Path, error: &io::Error) -> Failed {
        let help = match error.kind() {
            ErrorKind::PermissionDenied if self.is_systems => {
                "; run it as root: sudo upstreamd key ..."
            }
            ErrorKind::NotFound => "; the configuration's directory has to exist",
            _ => "",
        };
        failed(format!("{}: {error}{help}", path.display()))
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

fn write_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    // One that is left of a crash could have another mode, or be a link.
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_beside_the_systems_configuration_systemd_loads_keys() {
        assert!(Store::beside(Path::new("/etc/upstreamd/upstreamd.toml")).is_systems());
        assert!(Store::beside(Path::new("/etc/upstreamd/other.toml")).is_systems());
        assert!(!Store::beside(Path::new("upstreamd.toml")).is_systems());
        assert_eq!(
            Store::beside(Path::new("upstreamd.toml")).directory(),
            Path::new(".")
        );
    }
}
