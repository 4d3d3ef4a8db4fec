//! Small conveniences on the generated records. Not here: their fields (`wit/riad-pipeline`).

use crate::{Message, Request, Role, StageError};

impl Request {
    /// What the user asked last.
    ///
    /// # Errors
    /// `InvalidRequest` when the last message is not the user's.
    pub fn question(&self) -> Result<&str, StageError> {
        match self.messages.last() {
            Some(message) if message.role == Role::User => Ok(&message.content),
            _ => Err(StageError::InvalidRequest(
                "the last message must have the role \"user\"".to_string(),
            )),
        }
    }
}

impl Message {
    pub fn system(content: impl Into<String>) -> Self {
        Self {
            role: Role::System,
            content: content.into(),
        }
    }

    pub fn user(content: impl Into<String>) -> Self {
        Self {
            role: Role::User,
            content: content.into(),
        }
    }

    pub fn assistant(content: impl Into<String>) -> Self {
        Self {
            role: Role::Assistant,
            content: content.into(),
        }
    }
}
