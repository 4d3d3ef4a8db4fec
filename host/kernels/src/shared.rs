//! A pointer that tasks write through, each its own part.

#[derive(Clone, Copy)]
pub(crate) struct SharedMut<T>(*mut T);

impl<T> SharedMut<T> {
    pub fn new(slice: &mut [T]) -> Self {
        Self(slice.as_mut_ptr())
    }

    pub fn get(self) -> *mut T {
        self.0
    }
}

// SAFETY: whoever makes one lets each task write a part of its own, and outlives the tasks.
#[expect(unsafe_code, reason = "see SAFETY")]
unsafe impl<T: Send> Send for SharedMut<T> {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "see SAFETY")]
unsafe impl<T: Send> Sync for SharedMut<T> {}
