//! `/v1/files`, kept in memory.

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::chat::CREATED;
use super::route::Asked;
use super::{error, multipart};

/// What was uploaded; a file's id is its place.
#[derive(Default)]
pub struct Files(Vec<Option<File>>);

struct File {
    name: String,
    purpose: String,
    content: Bytes,
}

impl Files {
    pub fn upload(&mut self, asked: &Asked) -> Answer {
        let Some(parts) = multipart::parts(asked) else {
            return error::answer(400, "The body is no multipart form.");
        };
        let Some(file) = multipart::named(&parts, "file") else {
            return error::answer(400, "The form has no file.");
        };
        let purpose = multipart::named(&parts, "purpose").map_or(&b""[..], |part| part.data);
        self.0.push(Some(File {
            name: file.file_name.clone().unwrap_or_default(),
            purpose: String::from_utf8_lossy(purpose).into_owned(),
            content: Bytes::copy_from_slice(file.data),
        }));
        self.get(&id(self.0.len() - 1))
    }

    pub fn list(&self) -> Answer {
        let files = self.0.iter().enumerate();
        let data: Vec<Value> = files
            .filter_map(|(place, file)| Some(described(&id(place), file.as_ref()?)))
            .collect();
        answer::json(&json!({ "object": "list", "data": data, "has_more": false }))
    }

    pub fn get(&self, id: &str) -> Answer {
        match self.find(id) {
            Some(file) => answer::json(&described(id, file)),
            None => missing(id),
        }
    }

    pub fn content(&self, id: &str) -> Answer {
        match self.find(id) {
            Some(file) => answer::whole(200, "application/octet-stream", file.content.clone()),
            None => missing(id),
        }
    }

    pub fn delete(&mut self, id: &str) -> Answer {
        if self.find(id).is_none() {
            return missing(id);
        }
        if let Some(file) = place(id).and_then(|place| self.0.get_mut(place)) {
            *file = None;
        }
        answer::json(&json!({ "id": id, "object": "file", "deleted": true }))
    }

    fn find(&self, id: &str) -> Option<&File> {
        self.0.get(place(id)?)?.as_ref()
    }
}

fn described(id: &str, file: &File) -> Value {
    json!({
        "id": id,
        "object": "file",
        "bytes": file.content.len(),
        "created_at": CREATED,
        "filename": file.name,
        "purpose": file.purpose,
        "status": "processed",
    })
}

fn missing(id: &str) -> Answer {
    error::answer(404, &format!("No such File object: {id}"))
}

fn id(place: usize) -> String {
    format!("file-{place}")
}

fn place(id: &str) -> Option<usize> {
    id.strip_prefix("file-")?.parse().ok()
}
