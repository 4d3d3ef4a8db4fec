"""Write Riad plugins in Python: stages are functions and classes, capabilities are modules such as `riad_sdk.kv`.

    from riad_sdk import Passage, Request, documents, retrieval

    @retrieval
    def retrieve(request: Request) -> list[Passage]:
        return documents.search(request.question, limit=5)

A capability is imported only where `riad.toml` names it. The plugin's main module is `plugin`.
"""

from ._guest import prepare
from .errors import ErrorKind, InvalidRequest, RiadError
from .stages import Filter, postprocessing, prompting, retrieval, tool
from .types import Citation, Ending, FinishReason, Message, Passage, Profile, Prompt, Request, Role

prepare()

__all__ = [
    "Citation",
    "Ending",
    "ErrorKind",
    "Filter",
    "FinishReason",
    "InvalidRequest",
    "Message",
    "Passage",
    "Profile",
    "Prompt",
    "Request",
    "RiadError",
    "Role",
    "postprocessing",
    "prompting",
    "retrieval",
    "tool",
]
