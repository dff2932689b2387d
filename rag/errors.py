"""Every error this product raises, in one tree.

* RagError
    * LetterError      a file that is no letter we can read or parse whole
    * IndexStateError  an index that cannot be opened whole: ``IndexMissing``, ``IndexDamaged``, ``IndexMismatch``;
      or not written now: ``IndexBusy``; or kept by a service that cannot be reached now: ``StoreUnavailable``
    * QuestionError    a question that cannot be asked
    * ModelError       an embedding model that cannot be opened
    * ClusterError     other hosts that cannot be used as asked
    * DataError        training or evaluation data not as expected
    * PromptError      a prompt file that is missing or lacks a variable
    * SetupError       settings that need something which is not installed
    * VerificationError  an answer that does not stand in the letter (a bug, never shown as an answer)
"""

from __future__ import annotations


class RagError(Exception):
    """What was found, what was expected, and what to do: one line, fit to show to a person."""

    def __init__(self, found: str, expected: str = "", todo: str = "") -> None:
        self.found, self.expected, self.todo = found, expected, todo
        parts = [found, expected and f"expected {expected}", todo]
        super().__init__("; ".join(part for part in parts if part))


class LetterError(RagError):
    """A file that cannot be read as a letter, or a letter that does not parse whole."""


class IndexStateError(RagError):
    """An index that cannot be opened whole."""


class IndexMissing(IndexStateError):  # noqa: N818 (states, named as people say them)
    """There is no index yet."""


class IndexDamaged(IndexStateError):  # noqa: N818 (as above)
    """A file of the index is missing, cut short or altered."""


class IndexMismatch(IndexStateError):  # noqa: N818 (as above)
    """The index was built by another version, parser or embedding model."""


class IndexBusy(IndexStateError):  # noqa: N818 (as above)
    """Another process is writing the index."""


class StoreUnavailable(IndexStateError):  # noqa: N818 (a state, not a fault)
    """The service that keeps the letters cannot be reached, or does not hold this generation (any more)."""


class QuestionError(RagError):
    """A question that is empty or too long."""


class ModelError(RagError):
    """An embedding model that cannot be opened."""


class ClusterError(RagError):
    """Other hosts that cannot be used as asked."""


class DataError(RagError):
    """Training or evaluation data that is not as expected."""


class PromptError(RagError):
    """A prompt file that is missing or lacks a variable."""


class SetupError(RagError):
    """Settings that need something which is not installed."""


class VerificationError(RagError):
    """An answer that does not stand in the letter, to the character and the number."""
