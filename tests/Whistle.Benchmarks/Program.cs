Console.WriteLine("whistle benchmarks");
