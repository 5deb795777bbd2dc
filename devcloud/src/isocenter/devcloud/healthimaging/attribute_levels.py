"""Which attributes HealthImaging normalises to patient, study and series.

The developer guide ("Metadata normalization") names the modules of PS3.3
whose attributes move up: Patient and Clinical Trial Subject; General Study,
Patient Study and Clinical Trial Study; General Series, Clinical Trial Series,
General Equipment and Frame of Reference.  The lists below follow those
modules' tables in PS3.3 C.7.1 to C.7.5; every other attribute stays with its
instance.
"""

from __future__ import annotations

from typing import Final, Literal

__all__ = ["Level", "level_of"]

Level = Literal["Patient", "Study", "Series", "Instance"]

_PATIENT: Final = """
PatientName PatientID IssuerOfPatientID IssuerOfPatientIDQualifiersSequence
TypeOfPatientID PatientBirthDate PatientBirthDateInAlternativeCalendar
PatientDeathDateInAlternativeCalendar PatientAlternativeCalendar PatientSex
ReferencedPatientPhotoSequence QualityControlSubject ReferencedPatientSequence
PatientBirthTime OtherPatientIDs OtherPatientIDsSequence OtherPatientNames
EthnicGroup PatientComments PatientSpeciesDescription PatientSpeciesCodeSequence
PatientBreedDescription PatientBreedCodeSequence BreedRegistrationSequence
StrainDescription StrainNomenclature StrainCodeSequence
StrainAdditionalInformation StrainStockSequence GeneticModificationsSequence
ResponsiblePerson ResponsiblePersonRole ResponsibleOrganization
PatientIdentityRemoved DeidentificationMethod DeidentificationMethodCodeSequence
ClinicalTrialSponsorName ClinicalTrialProtocolID ClinicalTrialProtocolName
ClinicalTrialSiteID ClinicalTrialSiteName ClinicalTrialSubjectID
ClinicalTrialSubjectReadingID ClinicalTrialProtocolEthicsCommitteeName
ClinicalTrialProtocolEthicsCommitteeApprovalNumber
"""

_STUDY: Final = """
StudyInstanceUID StudyDate StudyTime ReferringPhysicianName
ReferringPhysicianIdentificationSequence ConsultingPhysicianName
ConsultingPhysicianIdentificationSequence StudyID AccessionNumber
IssuerOfAccessionNumberSequence StudyDescription PhysiciansOfRecord
PhysiciansOfRecordIdentificationSequence NameOfPhysiciansReadingStudy
PhysiciansReadingStudyIdentificationSequence RequestingServiceCodeSequence
ReferencedStudySequence ProcedureCodeSequence
ReasonForPerformedProcedureCodeSequence
AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence PatientAge
PatientSize PatientWeight PatientBodyMassIndex MeasuredAPDimension
MeasuredLateralDimension PatientSizeCodeSequence MedicalAlerts Allergies
SmokingStatus PregnancyStatus LastMenstrualDate PatientState Occupation
AdditionalPatientHistory AdmissionID IssuerOfAdmissionIDSequence ServiceEpisodeID
IssuerOfServiceEpisodeIDSequence ServiceEpisodeDescription PatientSexNeutered
ClinicalTrialTimePointID ClinicalTrialTimePointDescription
LongitudinalTemporalOffsetFromEvent LongitudinalTemporalEventType
ConsentForClinicalTrialUseSequence
"""

_SERIES: Final = """
Modality SeriesInstanceUID SeriesNumber Laterality SeriesDate SeriesTime
PerformingPhysicianName PerformingPhysicianIdentificationSequence ProtocolName
SeriesDescription SeriesDescriptionCodeSequence OperatorsName
OperatorIdentificationSequence ReferencedPerformedProcedureStepSequence
RelatedSeriesSequence BodyPartExamined PatientPosition
SmallestPixelValueInSeries LargestPixelValueInSeries RequestAttributesSequence
PerformedProcedureStepID PerformedProcedureStepStartDate
PerformedProcedureStepStartTime PerformedProcedureStepEndDate
PerformedProcedureStepEndTime PerformedProcedureStepDescription
PerformedProtocolCodeSequence CommentsOnThePerformedProcedureStep
AnatomicalOrientationType TreatmentSessionUID
ClinicalTrialCoordinatingCenterName ClinicalTrialSeriesID
ClinicalTrialSeriesDescription
Manufacturer InstitutionName InstitutionAddress StationName
InstitutionalDepartmentName InstitutionalDepartmentTypeCodeSequence
ManufacturerModelName DeviceSerialNumber SoftwareVersions GantryID UDISequence
DeviceUID SpatialResolution DateOfLastCalibration TimeOfLastCalibration
ManufacturerDeviceClassUID PixelPaddingValue
FrameOfReferenceUID PositionReferenceIndicator
"""

_LEVELS: Final[dict[str, Level]] = {
    **dict.fromkeys(_PATIENT.split(), "Patient"),
    **dict.fromkeys(_STUDY.split(), "Study"),
    **dict.fromkeys(_SERIES.split(), "Series"),
}


def level_of(keyword: str) -> Level:
    """The level of the metadata at which an attribute stands."""
    return _LEVELS.get(keyword, "Instance")
