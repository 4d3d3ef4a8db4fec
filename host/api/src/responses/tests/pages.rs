//! Pages of a kept response's input.

use crate::responses::list::{Page, check_response_params};
use riad_api_types::responses::{ResponseItem, ResponseItemList, ResponseItemParams, ResponseMessage, ResponseParams};
use riad_core::Result;

fn items() -> Vec<ResponseItem> {
    let item = |number: u32| {
        ResponseItem::Message(ResponseMessage {
            id: format!("msg_{number}"),
            role: "user".into(),
            status: "completed".into(),
            content: Vec::new(),
        })
    };
    (0..5).map(item).collect()
}

fn page(limit: u32, order: Option<&str>, after: Option<&str>) -> Result<ResponseItemList> {
    let params = ResponseItemParams {
        limit: Some(limit),
        order: order.map(str::to_owned),
        after: after.map(str::to_owned),
        ..ResponseItemParams::default()
    };
    Page::read(&params)?.of(items())
}

fn ids(page: &ResponseItemList) -> Vec<&str> {
    page.data.iter().map(ResponseItem::id).collect()
}

#[test]
fn the_last_items_come_first_unless_asked() {
    let first = page(2, None, None).unwrap();
    assert_eq!((ids(&first), first.has_more), (vec!["msg_4", "msg_3"], true));
    assert_eq!(
        (first.first_id.as_deref(), first.last_id.as_deref()),
        (Some("msg_4"), Some("msg_3"))
    );
    let last = page(3, None, Some("msg_3")).unwrap();
    assert_eq!((ids(&last), last.has_more), (vec!["msg_2", "msg_1", "msg_0"], false));
    let ascending = page(1, Some("asc"), Some("msg_0")).unwrap();
    assert_eq!((ids(&ascending), ascending.has_more), (vec!["msg_1"], true));
    let none = page(1, Some("asc"), Some("msg_4")).unwrap();
    assert_eq!((none.data.len(), none.first_id), (0, None));
}

#[test]
fn a_parameter_that_is_wrong_is_named() {
    for (result, param) in [
        (page(0, None, None), "limit"),
        (page(101, None, None), "limit"),
        (page(1, Some("up"), None), "order"),
        (page(1, None, Some("msg_9")), "after"),
    ] {
        assert_eq!(result.err().unwrap().param(), Some(param));
    }
    let params = |params: ResponseParams| {
        check_response_params(&params)
            .err()
            .map(|error| error.param().unwrap().to_owned())
    };
    let stream = ResponseParams {
        stream: Some(true),
        ..ResponseParams::default()
    };
    assert_eq!(params(stream).as_deref(), Some("stream"));
    let include = ResponseParams {
        include: vec![
            "message.output_text.logprobs".into(),
            "reasoning.encrypted_content".into(),
        ],
        ..ResponseParams::default()
    };
    assert_eq!(params(include).as_deref(), Some("include"));
    assert_eq!(params(ResponseParams::default()), None);
}
