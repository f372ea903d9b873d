"""Medical scans: from a folder of DICOM, NIfTI or images to a generator, and to synthetic scans that a PACS accepts."""
