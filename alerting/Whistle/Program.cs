System.Console.WriteLine("whistle");
