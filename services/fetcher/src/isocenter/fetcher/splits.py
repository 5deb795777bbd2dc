"""Which patient goes into which split. Pure.

A patient's key depends on nothing but the patient and the secret, so a patient
stays in the split that it once had, however much data is added later.
"""

import hashlib
import hmac

from isocenter.core.dataset import Split, SplitPolicy

_SPLITS: tuple[Split, Split, Split] = ("train", "validation", "test")


def patient_key(
    salt: str, patient_id: str | None, issuer: str | None, study_uid: str
) -> str:
    """A patient's keyed hash: 32 hex digits of HMAC-SHA-256.

    Args:
        salt: the secret key; equal keys give equal hashes in every dataset.
        patient_id: (0010,0020), stripped; None where the source has none.
        issuer: (0010,0021): equal ids of two issuers are two patients.
        study_uid: stands in where there is no patient id.
    """
    # The first part keeps a patient id from ever colliding with a study's UID.
    parts = (
        ("patient", issuer or "", patient_id) if patient_id else ("study", study_uid)
    )
    text = "\0".join(parts)
    return hmac.new(salt.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]


def split_of(key: str, ratios: tuple[float, float, float]) -> Split:
    """The split of a patient key: its first 64 bits as a fraction of one."""
    share = int(key[:16], 16) / 2**64
    edge = 0.0
    used: list[Split] = []
    for name, ratio in zip(_SPLITS, ratios, strict=True):
        if ratio > 0:
            used.append(name)
            edge += ratio
            if share < edge:
                return name
    # Shares such as 0.7, 0.2, 0.1 need not add up to one exactly.
    return used[-1]


def policy(salt: str, ratios: tuple[float, float, float]) -> SplitPolicy:
    """How a dataset is split, for its manifest; names the key without telling it."""
    digest = hmac.new(salt.encode(), b"isocenter split key", hashlib.sha256)
    train, validation, test = ratios
    return SplitPolicy(
        key_id=digest.hexdigest()[:16], train=train, validation=validation, test=test
    )
