"""Bad inputs as users meet them: each builds a faulty download and names the call that must refuse it.

`python -m tests.bad_inputs` writes docs/bad-inputs.md from what the calls really say; a test keeps the two equal.
"""

from tests.bad_inputs import others, own_images, sidd_blocks, sidd_photos  # noqa: F401  (they register their cases)
from tests.bad_inputs.base import CASES, DOC, document, message

__all__ = ["CASES", "DOC", "document", "message"]
