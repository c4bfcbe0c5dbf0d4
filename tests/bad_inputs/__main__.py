"""Write docs/bad-inputs.md."""

from tests.bad_inputs import DOC, document

DOC.write_text(document(), encoding="utf-8")
