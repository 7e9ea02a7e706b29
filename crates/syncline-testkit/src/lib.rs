//! Throwaway database servers and scripted faults for the tests (dev only)
