"""What of DICOM is a scan: which SOP classes, which words of Image Type are none, which tags may be labels."""

from __future__ import annotations

from pydicom import uid as uids
from pydicom.datadict import dictionary_VR, keyword_dict, keyword_for_tag, tag_for_keyword

from synthkit.errors import InputError, nearest_name
from synthkit.io.dicom_record import Header

IMAGES = frozenset({
    uids.CTImageStorage, uids.EnhancedCTImageStorage, uids.LegacyConvertedEnhancedCTImageStorage,
    uids.MRImageStorage, uids.EnhancedMRImageStorage, uids.EnhancedMRColorImageStorage,
    uids.LegacyConvertedEnhancedMRImageStorage,
    uids.PositronEmissionTomographyImageStorage, uids.EnhancedPETImageStorage,
    uids.LegacyConvertedEnhancedPETImageStorage, uids.NuclearMedicineImageStorage,
    uids.ComputedRadiographyImageStorage, uids.DigitalXRayImageStorageForPresentation,
    uids.DigitalXRayImageStorageForProcessing, uids.DigitalMammographyXRayImageStorageForPresentation,
    uids.DigitalMammographyXRayImageStorageForProcessing, uids.DigitalIntraOralXRayImageStorageForPresentation,
    uids.DigitalIntraOralXRayImageStorageForProcessing, uids.BreastTomosynthesisImageStorage,
    uids.XRayAngiographicImageStorage, uids.EnhancedXAImageStorage, uids.XRayRadiofluoroscopicImageStorage,
    uids.EnhancedXRFImageStorage, uids.XRay3DAngiographicImageStorage, uids.XRay3DCraniofacialImageStorage,
    uids.UltrasoundImageStorage, uids.UltrasoundMultiFrameImageStorage, uids.EnhancedUSVolumeStorage,
    uids.RTImageStorage,
    uids.VLEndoscopicImageStorage, uids.VLMicroscopicImageStorage, uids.VLPhotographicImageStorage,
    uids.DermoscopicPhotographyImageStorage, uids.OphthalmicPhotography8BitImageStorage,
    uids.OphthalmicPhotography16BitImageStorage, uids.OphthalmicTomographyImageStorage,
})  # fmt: skip
CAPTURES = frozenset({
    uids.SecondaryCaptureImageStorage, uids.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    uids.MultiFrameGrayscaleWordSecondaryCaptureImageStorage, uids.MultiFrameTrueColorSecondaryCaptureImageStorage,
    uids.MultiFrameSingleBitSecondaryCaptureImageStorage,
})  # fmt: skip
# Words of Image Type that tell what is no scan of its own.
_NO_SCANS = {
    "LOCALIZER": "localizer",
    "SCOUT": "localizer",
    "PATIENT_INFO": "page of text about the patient",
    "DOSE_INFO": "page of text about the dose",
    "SCREEN SAVE": "screenshot",
    "MPR": "view computed from another series (MPR)",
    "MIP": "view computed from another series (MIP)",
    "MIN_IP": "view computed from another series (MinIP)",
    "PROJECTION IMAGE": "view computed from another series (projection)",
    "VOLUME_RENDERED": "view computed from another series (rendering)",
    "CSA 3D EDITOR": "view computed from another series (3-D editor)",
}
# Tags that say who a patient is, or who treated them. Whether they were there is told; what they said never.
IDENTIFYING = (
    "PatientName", "PatientID", "OtherPatientIDs", "OtherPatientNames", "PatientBirthDate", "PatientAddress",
    "PatientTelephoneNumbers", "PatientMotherBirthName", "AccessionNumber", "InstitutionName", "InstitutionAddress",
    "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName", "RequestingPhysician", "StationName",
    "DeviceSerialNumber", "StudyDate", "StudyDescription", "PatientComments",
)  # fmt: skip
_NO_LABELS = frozenset(IDENTIFYING) | {"IssuerOfPatientID", "StudyID", "SeriesNumber", "InstanceNumber"}
_LABEL_KINDS = frozenset({"CS", "LO", "SH", "ST", "LT", "AS", "IS", "DS", "US", "SS", "UL", "SL", "UC", "UT", "AE"})


def label_tag(text: str) -> int:
    """Return the tag that ``tag:BodyPartExamined`` or ``tag:0018,0015`` names.

    Raises
    ------
    InputError
        No such tag, or one that identifies a patient: classes are stored in models.
    """
    name = text.removeprefix("tag:").strip()
    tag = tag_for_keyword(name)
    digits = name.strip("()").replace(",", "").replace(" ", "")
    if tag is None and len(digits) == 8 and all(one in "0123456789abcdefABCDEF" for one in digits):
        tag = int(digits, 16)
    if tag is None:
        nearest = nearest_name(name, keyword_dict)
        raise InputError(
            f"there is no DICOM tag {name!r}" + ("" if nearest is None else f"; did you mean {nearest!r}?"),
            remedy="Name it as the standard does, as in tag:BodyPartExamined, or as in tag:0018,0015.",
        )
    keyword = keyword_for_tag(tag)
    kind = dictionary_VR(tag) if keyword else "LO"
    if keyword in _NO_LABELS or kind in ("PN", "UI", "DA", "DT", "TM"):
        raise InputError(
            f"the tag {keyword} identifies a patient or an examination, and classes are stored in the model",
            remedy="Choose a tag of few values, or give the labels as a CSV file.",
        )
    if kind not in _LABEL_KINDS:
        raise InputError(
            f"the tag {keyword} holds {kind}, expected text or a number", remedy="Choose another tag for the labels."
        )
    return tag


def no_scan(header: Header) -> str | None:
    """Return why a frame is no scan of its own, or None: localizers, pages of text, views computed from others."""
    for word in header.image_type[2:]:
        reason = next((why for key, why in _NO_SCANS.items() if key in word), None)
        if reason is not None:
            return reason
    return None
