//! The stages as traits, and the cell that lets a filter be an ordinary `&mut self` type.
//! Not here: the types that they speak of (`bindings`), the macro that exports them (`export`).

use crate::{
    Ending, FinishReason, Passage, Prompt, Request, StageError, Tool, bindings::postprocessing::exports::riad::pipeline,
};
use std::cell::RefCell;

/// From a chat request to passages.
pub trait Retrieval {
    /// Called once per request. The passages go to the prompting stage in this order, best first.
    ///
    /// # Errors
    /// `InvalidRequest` answers the client with 400, `Failed` with 422.
    fn retrieve(request: Request) -> Result<Vec<Passage>, StageError>;
}

/// From passages to what the model reads.
pub trait Prompting {
    /// Called once per request. The passages that are returned are numbered from 1 and go to the client with the answer.
    ///
    /// # Errors
    /// `InvalidRequest` answers the client with 400, `Failed` with 422.
    fn build_prompt(request: Request, passages: Vec<Passage>) -> Result<Prompt, StageError>;
}

/// From what the model writes to what the client reads.
pub trait Postprocessing {
    type Filter: Filter;
}

/// Reads one answer as it is generated.
pub trait Filter: Sized + 'static {
    /// Called once per choice of the answer, before its first piece.
    fn open(request: Request, prompt: Prompt) -> Self;

    /// A piece of the model's output in, what may go out now (perhaps nothing). Pieces end anywhere, also inside a word.
    ///
    /// # Errors
    /// Ends the answer with an error.
    fn push(&mut self, piece: &str) -> Result<String, StageError>;

    /// The output has ended, for this reason: what was still held back, and the citations.
    ///
    /// # Errors
    /// Ends the answer with an error.
    fn finish(&mut self, reason: FinishReason) -> Result<Ending, StageError>;
}

/// Functions that the model may call while it answers. They run in the tenant's room, in the request that the model serves.
pub trait Tools {
    /// The tools of this plugin, at most 32. Called once per request.
    ///
    /// # Errors
    /// `InvalidRequest` answers the client with 400, `Failed` with 422.
    fn offer() -> Result<Vec<Tool>, StageError>;

    /// Runs a tool. `arguments` is a JSON object as the model wrote it, which need not follow the tool's schema:
    /// [`crate::tools::arguments`] reads it. What is returned goes to the model as text.
    ///
    /// # Errors
    /// `InvalidRequest` goes to the model, which may try again; `Failed` ends the request.
    fn call(name: &str, arguments: &str) -> Result<String, StageError>;
}

/// The resource behind `riad:pipeline/postprocessing`. The host serves one call at a time, so that the borrow is free.
#[doc(hidden)]
pub struct FilterCell<F>(RefCell<F>);

impl<F: Filter> pipeline::postprocessing::GuestFilter for FilterCell<F> {
    fn new(request: Request, prompt: Prompt) -> Self {
        Self(RefCell::new(F::open(request, prompt)))
    }

    fn push(&self, piece: String) -> Result<String, StageError> {
        self.0.borrow_mut().push(&piece)
    }

    fn finish(&self, reason: FinishReason) -> Result<Ending, StageError> {
        self.0.borrow_mut().finish(reason)
    }
}
