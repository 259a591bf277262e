"""Analysis of Istio documents: for each code a document that has the finding and one that has not."""
