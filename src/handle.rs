//! What all workers share, as one of them holds it.

use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

/// A worker's handle of what all workers share. It is cloned for every request, which
/// the worker counts by itself: an [`Arc`]'s own count would be written by all of
/// them, and its cache line would go to and fro.
#[derive(Debug)]
pub struct Handle<T>(Rc<Shared<T>>);

/// Keeps it for as long as the worker has a handle.
#[derive(Debug)]
struct Shared<T>(Arc<T>);

impl<T> Handle<T> {
    /// The worker's first.
    pub fn new(shared: &Arc<T>) -> Self {
        Handle(Rc::new(Shared(Arc::clone(shared))))
    }
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Handle(Rc::clone(&self.0))
    }
}

impl<T> Deref for Handle<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.0
    }
}
