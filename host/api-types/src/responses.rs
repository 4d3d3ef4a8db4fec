//! `/v1/responses`, in OpenAI's shapes.

mod events;
mod items;
mod request;
mod response;

pub use events::{NumberedResponseEvent, ResponseEvent};
pub use items::{
    ResponseAnnotation, ResponseContentPart, ResponseFileSearchCall, ResponseFileSearchResult, ResponseFunctionCall,
    ResponseFunctionCallOutput, ResponseFunctionResult, ResponseItem, ResponseItemList, ResponseMessage,
    ResponseReasoning,
};
pub use request::{
    AnyResponseTool, FileSearchTool, ResponseInput, ResponseItemParams, ResponseParams, ResponseReasoningOptions,
    ResponseRequest, ResponseStreamOptions, ResponseTextFormat, ResponseTextOptions, ResponseTool, ResponseToolChoice,
};
pub use response::{
    DeletedResponse, ResponseError, ResponseIncompleteDetails, ResponseInputDetails, ResponseObject,
    ResponseOutputDetails, ResponseUsage,
};
