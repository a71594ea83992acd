"""Why threads stand: a category with evidence for each, and who waits for whom across processes."""
