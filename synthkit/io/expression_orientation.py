"""Which way round a table of expression lies: whether names along one side are genes or cells.

More columns than rows says nothing: there are tables of 100 cells by 20,000 genes and of 20,000 cells by 100 genes.
Names do: identifiers of genes, of probes and of well-known genes on one side; barcodes and names of samples on the
other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

GENE_HEADS = frozenset(
    "gene genes gene_id geneid gene_ids gene_name gene_names gene_symbol genesymbol symbol symbols probe probes "
    "probe_id probeid probeset id_ref feature features feature_id ensembl ensembl_id ensembl_gene_id hugo hugo_symbol "
    "entrez entrez_id entrez_gene_id mirna mirna_id transcript transcript_id".split()
)
"""What the column of the names is called where rows are genes."""

CELL_HEADS = frozenset(
    "cell cells cell_id cellid cell_name cell_barcode barcode barcodes bc sample samples sample_id sampleid "
    "sample_name patient patient_id donor subject obs obs_names index".split()
)
"""What it is called where rows are cells."""

GENE_FACTS = GENE_HEADS | frozenset(
    "description gene_description name chr chrom chromosome start end strand length gene_length biotype gene_biotype "
    "gene_type feature_type".split()
)
"""Columns that describe genes, where rows are genes."""

CELL_FACTS = frozenset(
    "label labels class classes target y cell_type celltype cell.type celltypes cluster clusters louvain leiden "
    "seurat_clusters batch donor patient sample condition treatment group disease diagnosis status sex gender age "
    "time timepoint day n_counts ncount_rna total_counts n_genes nfeature_rna n_genes_by_counts percent_mt percent.mt "
    "pct_counts_mt library_size size_factor size_factors phase s_score g2m_score doublet_score synthetic split".split()
)
"""Columns of numbers that describe cells, where columns are genes."""

_GENE = re.compile(
    r"""(?:
    ENS[A-Z]{0,6}[GT]\d{9,}(?:\.\d+)?        # Ensembl
    | FBgn\d{7} | WBGene\d{8} | AT[1-5CM]G\d{5} | Y[A-P][LR]\d{3}[WC](?:-[A-Z])?
    | [NX][MR]_\d{5,}(?:\.\d+)?              # RefSeq
    | AFFX-.* | \d+(?:_[a-z]{1,2})?_at | ILMN_\d+ | A_\d{2}_P\d+ | TC\d{8}\.hg\.\d
    | (?:hsa|mmu|rno)[-.](?:let|mi[rR]|MIR)[-.].*
    | (?:MT|mt|Mt)-[A-Za-z0-9]+ | (?:RP[LS]|Rp[ls])P?\d+[A-Za-z0-9]* | LINC\d{5} | HLA-[A-Z0-9]+ | A[CLP]\d{6}\.\d+
    | (?:IG[HKL]|TR[ABGD])[VDJC]\d.* | (?:KRT|COL|SLC|ZNF|TMEM|FAM|CCL|CXCL|IFI|HIST)\d+[A-Z0-9]* | [A-Z]\d{0,2}orf\d+
    | (?:gene|probe|feature|transcript)[-_. ]?\d+
    )$""",
    re.VERBOSE,
)
_SYMBOLS = frozenset(
    "ACTB GAPDH B2M MALAT1 TP53 EGFR MYC BRCA1 BRCA2 PTEN KRAS CD3D CD3E CD4 CD8A CD8B CD14 CD19 CD79A MS4A1 NKG7 GNLY "
    "LYZ FCGR3A PPBP PTPRC EPCAM VIM FTL FTH1 TMSB4X TMSB10 EEF1A1 UBC HBB HBA1 HBA2 ALB INS GCG TTR APOE APOA1 S100A8 "
    "S100A9 CST3 FCER1A IL7R CCR7 GZMB GZMK PRF1 FOXP3 IL2 IL6 TNF IFNG ISG15 STAT1 JUN FOS CDK1 MKI67 TOP2A PCNA ESR1 "
    "ERBB2 PGR AR GATA3 SOX2 NANOG POU5F1 PAX6 DCX GFAP AQP4 MBP PLP1 SNAP25 A1BG A2M A1CF NAT1 NAT2 AAAS AACS NOC2L "
    "SAMD11 HES4 AGRN XIST RPLP0 HPRT1 TBP SDHA YWHAZ".split()
)
_CELL = re.compile(
    r"""(?:
    (?:[A-Za-z0-9.]+[-_.:\#])*[ACGT]{8,}(?:[-_.]\d+)?(?:[-_.:\#][A-Za-z0-9]+)*x?   # a barcode
    | (?:cell|sample|samp|patient|donor|subject|barcode|well|synthetic|case|control|tumou?r|normal)s?[-_. ]?\d+
    | (?:GSM|SRR|ERR|DRR|SAM[NED]A?)\d{4,}.* | TCGA[-.][A-Z0-9]{2}[-.][A-Z0-9]{4}.* | [A-P]\d{1,2}(?:_.*)?_S?\d+
    | s\d+ | GTEX-.*
    )$""",
    re.VERBOSE | re.IGNORECASE,
)
_SURE = 0.5
_TOLD = 0.05


@dataclass(frozen=True)
class Orientation:
    """Which way round a table lies, and why.

    Attributes
    ----------
    rows_are_genes
        Whether rows are genes.
    reason
        Why, in words that follow a colon.
    told
        Whether anything says so.
    sure
        Whether names leave no doubt.
    """

    rows_are_genes: bool
    reason: str
    told: bool = True
    sure: bool = False


def gene_share(names: Sequence[str]) -> float:
    """Share of names that look like genes."""
    return _share(names, _like_gene)


def cell_share(names: Sequence[str]) -> float:
    """Share of names that look like cells or samples."""
    return _share(names, _like_cell)


def orientation(
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    head: str = "",
    cell_columns: Sequence[str] = (),
    gene_columns: Sequence[str] = (),
    label_rows: Sequence[str] = (),
) -> Orientation:
    """Tell which way round a table lies.

    Parameters
    ----------
    rows, columns
        Names along both sides; some are enough.
    head
        What the column of the names of rows is called; empty without a name.
    cell_columns
        Other columns that describe cells: text, or a name such as ``batch``.
    gene_columns
        Columns that describe genes.
    label_rows
        Rows of text between rows of numbers.
    """
    genes = gene_share(rows) - gene_share(columns)
    cells = cell_share(columns) - cell_share(rows)
    score = genes + cells
    reasons: list[tuple[bool, str]] = []  # whether it speaks for genes in rows, and in which words
    if genes > _TOLD:
        reasons.append((True, f"rows have names of genes ({_example(rows, _like_gene)})"))
    if genes < -_TOLD:
        reasons.append((False, f"columns have names of genes ({_example(columns, _like_gene)})"))
    if cells > _TOLD:
        reasons.append((True, f"columns have names of cells or samples ({_example(columns, _like_cell)})"))
    if cells < -_TOLD:
        reasons.append((False, f"rows have names of cells or samples ({_example(rows, _like_cell)})"))
    sure = abs(score) > _SURE
    for told, speaks_for_genes, words in (
        (folded(head) in GENE_HEADS, True, f"the first column is called {head!r}"),
        (folded(head) in CELL_HEADS, False, f"the first column is called {head!r}"),
        (bool(cell_columns), False, f"the column {_first(cell_columns)} describes cells"),
        (bool(gene_columns), True, f"the column {_first(gene_columns)} describes genes"),
        (bool(label_rows), True, f"the row {_first(label_rows)} holds text"),
    ):
        if told:
            score += 1 if speaks_for_genes else -1
            reasons.append((speaks_for_genes, words))
    if abs(score) <= _TOLD:
        return Orientation(False, "names do not tell", told=False)
    return Orientation(score > 0, ", ".join(words for speaks, words in reasons if speaks == (score > 0)), sure=sure)


def folded(name: str) -> str:
    """Return the name of a column as the lists of names have it: lower case, with underscores."""
    return "_".join(name.strip().lower().split())


def _first(names: Sequence[str]) -> str:
    return repr(names[0]) if names else ""


def _like_gene(name: str) -> bool:
    return bool(_GENE.match(name)) or name.upper() in _SYMBOLS


def _like_cell(name: str) -> bool:
    return bool(_CELL.match(name))


def _example(names: Sequence[str], test: Callable[[str], bool]) -> str:
    return next((repr(name) for name in names if test(name)), repr(names[0]) if names else "")


def _share(names: Sequence[str], test: Callable[[str], bool]) -> float:
    return sum(map(test, names)) / len(names) if names else 0.0
