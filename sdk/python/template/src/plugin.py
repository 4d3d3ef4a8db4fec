"""Signs each answer: the text goes out as the model writes it, and a line of the tenant's follows it."""

from riad_sdk import FinishReason, Prompt, Request, postprocessing, settings


@postprocessing
class Signing:
    """One answer."""

    def __init__(self, request: Request, prompt: Prompt) -> None:
        pass

    def push(self, piece: str) -> str:
        return piece

    def finish(self, reason: FinishReason) -> str:
        line = settings.get("signature", "Answered by {{name}}.")
        # An answer that was cut off says so.
        return f"…\n\n{line}" if reason == "length" else f"\n\n{line}"
